"""The schedules that a search has tried, as a table or a picture."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from qcompiler.backends.plots.inline_svg import svg_file

from .front import front_figure


def schedule_table(search: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Columns and rows to print, the shortest first."""
    kind = _kind(search)
    counted = {kind: f"{kind} %", "doubt": "+-", "drift": "drift %"}
    costs = _costs(search)
    columns = ("last spike", "interval", *costs.values(), *counted.values(), "schedule", "")
    rows = [
        (
            point["latency_steps"],
            point["frame_interval_steps"],
            *(f"{point[name]:.3g}" if point[name] is not None else "" for name in costs),
            *(_number(point, name) for name in counted),
            _name(point),
            "chosen" if point["chosen"] else "" if point["pareto"] else "dominated",
        )
        for point in search["points"]
    ]
    return columns, rows


def _costs(search: Mapping[str, Any]) -> dict[str, str]:
    """What was estimated of costs, and its column."""
    names = {"energy_uj": "uJ a frame", "edp_ujs": "EDP uJs"}
    known = (p for p in names if any(row.get(p) is not None for row in search["points"]))
    return {name: names[name] for name in known}


def _kind(search: Mapping[str, Any]) -> str:
    return str(next(iter(search["budget"])))


def _number(point: Mapping[str, Any], name: str) -> str:
    value = point.get(f"{name}_percent")
    return "" if value is None else f"{value:.2f}"


def _name(point: Mapping[str, Any]) -> str:
    uniform = point["uniform_t_max"]
    if point.get("options"):
        return " ".join(f"{n} {v}" for n, v in (("t_max", uniform), *point["options"].items()))
    return f"t_max {uniform}" if uniform else ":".join(map(str, point["levels"]))


def _csv(search: Mapping[str, Any]) -> str:
    """A line for each point: figures, then options of the pipeline, then the levels of values.

    A value that is named like another column has a number behind its name.
    """
    points = search["points"]
    figures = list(dict.fromkeys(n for p in points for n in p if n not in ("levels", "options")))
    options = list(dict.fromkeys(name for p in points for name in p.get("options") or {}))
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_distinct([*figures, *options, *search["schedule"]]))
    for point in points:
        chosen = point.get("options") or {}
        own = (point.get(name) for name in figures)
        writer.writerow([*own, *(chosen.get(name) for name in options), *point["levels"]])
    return text.getvalue()


def _distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        numbered = (f"{name}.{count}" for count in itertools.count(1))
        found.append(next(one for one in itertools.chain([name], numbered) if one not in found))
    return found


def _json(search: Mapping[str, Any]) -> str:
    return json.dumps(search, indent=2) + "\n"


def _svg(search: Mapping[str, Any]) -> str:
    return svg_file(front_figure(search))


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    ".csv": _csv,
    ".json": _json,
    ".svg": _svg,
}
