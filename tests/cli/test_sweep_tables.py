"""The tables that `--sweep` writes: a column for each figure, option and value."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from qcompiler.passes import Pipeline
from qcompiler.search.drift import LossEstimate
from qcompiler.search.pareto import Budget, Cost, Point, SearchResult
from qcompiler.search.report import WRITERS, schedule_table

LOSS = LossEstimate(1.5, 0.5, 0.5)
POINTS = (
    Point((3, 8), 20, 9, LOSS, True, 8, (("slices", 1), ("spare", 0.5)), Cost(2.0, 1e-5)),
    Point((3, 8), 22, 9, LOSS, True, 8, (("slices", 4), ("alternate", 6)), Cost(3.0, None)),
    Point((2, 5), 10, 4),
)
FOUND = SearchResult(
    Budget("drift", 2.0), ("slices", "y"), POINTS, POINTS[0], None, Pipeline(()), "energy"
)


def table(search: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    head, *rows = csv.reader(StringIO(WRITERS[".csv"](search)))
    return head, rows


def test_each_option_is_a_column() -> None:
    head, rows = table(FOUND.to_dict())
    assert head[-5:] == ["slices", "spare", "alternate", "slices.1", "y"]  # the last two are values
    assert [row[-5:] for row in rows] == [
        ["", "", "", "2", "5"],
        ["1", "0.5", "", "3", "8"],
        ["4", "", "6", "3", "8"],
    ]
    assert "options" not in head and len({len(row) for row in (head, *rows)}) == 1
    assert [row[head.index("uniform_t_max")] for row in rows] == ["", "8", "8"]
    assert [row[head.index("drift_percent")] for row in rows] == ["", "1.5", "1.5"]


def test_no_two_columns_have_one_name() -> None:
    found = FOUND.to_dict() | {"schedule": ["interval", "drift_percent", "slices", "slices.1"]}
    for point in found["points"]:
        point["levels"] = [2, 3, 4, 5]
    head, rows = table(found)
    assert head[-4:] == ["interval", "drift_percent.1", "slices.1", "slices.1.1"]
    assert len(set(head)) == len(head) == len(rows[0])


def test_a_search_without_options_has_no_columns_of_them() -> None:
    search = FOUND.to_dict()
    for point in search["points"]:
        point["options"] = {}
    head, _ = table(search)
    assert head[-2:] == ["slices", "y"] and head.count("slices") == 1 and "spare" not in head


def test_the_table_on_the_screen_names_options_in_their_row() -> None:
    columns, rows = schedule_table(FOUND.to_dict())
    named = [row[columns.index("schedule")] for row in rows]
    assert named == ["2:5", "t_max 8 slices 1 spare 0.5", "t_max 8 slices 4 alternate 6"]
