"""Axes with a row for each population, from top to bottom; fast for hundreds of them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from .canvas import BAND, INK


def strips(
    axes: Any,
    spans: Sequence[tuple[float, float]],
    colour: str | Sequence[str],
    rows: Sequence[int] | None = None,
    height: float = 0.72,
    **how: Any,
) -> None:
    """A horizontal strip in each row: where it begins, and its width."""
    half = height / 2
    outlines = [
        [(x, row - half), (x + width, row - half), (x + width, row + half), (x, row + half)]
        for row, (x, width) in zip(rows or range(len(spans)), spans, strict=True)
    ]
    made = import_module("matplotlib.collections").PolyCollection
    axes.add_collection(made(outlines, facecolors=colour, linewidths=0, **how))


def name_rows(axes: Any, names: Sequence[str], at: Sequence[float] | None = None) -> None:
    """Write names to the left of the rows, which these are; the horizontal axis counts steps.

    The middle of a row is its number, or is ``at``.
    """
    place = axes.get_yaxis_transform()
    for row, name in zip(range(len(names)) if at is None else at, names, strict=True):
        axes.text(-0.015, row, name, transform=place, ha="right", va="center", size=7.5, color=INK)
    axes.set(yticks=(), ylim=(len(names) - 0.4, -0.6))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=BAND, lw=0.8)
    axes.xaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(8, integer=True))
