"""How pictures look: one palette, and figures that no name can lay hands on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from qcompiler.ir import ProgramError
from qcompiler.ir.diagnostics import printable

INK, GREY, PALE, BAND = "#1d2430", "#6b7480", "#dfe3e8", "#eef1f5"
BLUE, ORANGE, GREEN, PURPLE, YELLOW = "#2f6db3", "#c65a1e", "#2a8563", "#7a55a5", "#b08900"
PALETTE = {
    "ink": INK,
    "grey": GREY,
    "pale": PALE,
    "band": BAND,
    "blue": BLUE,
    "orange": ORANGE,
    "green": GREEN,
    "purple": PURPLE,
    "yellow": YELLOW,
}
WIDTH = 4.7  # inches: text is readable on a phone, and not huge on a desk
LONGEST = 26  # letters of a name
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.formatter.use_mathtext": False,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: it is small, and one can search it
    "text.color": INK,
    "text.parse_math": False,  # a name with dollars is no formula
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 7.5,
}


def need(*modules: str) -> None:
    """ProgramError unless these modules of the extra ``report`` are there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ProgramError(
            f"reports and pictures need {' and '.join(missing)}: run pip install '.[report]' in a "
            "checkout of qcompiler"
        )


@contextmanager
def style(**more: Any) -> Iterator[None]:
    """Draw in this style whatever the user's settings are."""
    need("matplotlib")
    matplotlib = import_module("matplotlib")
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, **more}):
        yield


def sheet(
    height: float, rows: int = 1, columns: int = 1, layout: str | None = "constrained", **how: Any
) -> tuple[Any, Any]:
    """A figure of this height in inches, and its axes as an array ``rows x columns``."""
    figure = import_module("matplotlib.figure").Figure((WIDTH, height), layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False, **how)


def shown(text: str, longest: int = LONGEST) -> str:
    """A name as it stands in a picture: its two ends, if it is long, no control characters."""
    begin = (longest - 1) // 2
    for _ in range(2):  # what is escaped may be too long again
        if len(text) > longest:
            text = f"{text[:begin]}…{text[begin + 1 - longest :]}"
        text = printable(text, keep="")
    return text
