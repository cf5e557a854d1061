"""Tables on narrow terminals, and bars of work whose length is not known."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich import progress as rich_progress
from rich.console import Console

from qcompiler.terminal import console
from qcompiler.terminal.console import print_table, progress

COLUMNS = ("population", "kind", "neurons", "t_max", "fullest core", "nodes")
ROWS = [
    (
        "/relu1/Relu_output_0",
        "integrate",
        21676,
        16,
        "41% bits of synapses",
        "/conv1/Conv, /norm1",
    ),
    ("/pool2/MaxPool_output_0", "first spike", 64, 16, "8% input axons", "/pool2/MaxPool"),
]


def printed(width: int, rows: Sequence[tuple[object, ...]] = ROWS) -> str:
    screen = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    print_table(screen, COLUMNS, rows)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 90])
def test_names_stay_whole_on_a_narrow_terminal(width: int) -> None:
    text = printed(width)
    assert all(len(line) <= width for line in text.splitlines())
    for row in ROWS:
        for cell in row:
            assert (f"{cell:,}" if isinstance(cell, int) else str(cell)) in text
    assert text.count("population") > 1


def test_a_wide_terminal_has_one_table() -> None:
    assert printed(200).count("population") == 1
    assert printed(80, []).split() == " ".join(COLUMNS).split()


def test_long_names_leave_room() -> None:
    text = printed(40, [("y" * 300, *ROWS[0][1:])])
    assert all(len(line) <= 40 for line in text.splitlines())
    assert text.replace("\n", "").replace(" ", "").count("y" * 20) >= 15


def test_a_search_claims_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[rich_progress.Progress] = []

    class Noted(rich_progress.Progress):
        def start(self) -> None:
            made.append(self)
            super().start()

    monkeypatch.setattr(console, "Progress", Noted)
    with progress("searching", quiet=True, known=False) as bar:
        bar(1.0)
        assert made[0].tasks[0].total is None and not made[0].finished
    with progress("compiling", quiet=True) as bar:
        bar(0.25)
        assert made[1].tasks[0].percentage == 25
