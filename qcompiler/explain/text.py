"""What `qrun --explain` says on the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.explain.causes.verdict import INPUT, Verdict
from qcompiler.explain.measure.layer_error import ERROR_SOURCES
from qcompiler.terminal.console import print_table, screen

from .diagnosis import TOLERATED
from .explanation import Explanation, LayerLoss


def sentences(found: Explanation) -> list[tuple[str, str]]:
    """The result in words: pairs of what a line is about, and the line."""
    what = "of the frames" if found.classes else "of the scores' variance"
    all_ = found.frames == found.given
    part = f"{found.frames:,}" if all_ else f"{found.frames:,} of {found.given:,}"
    lines = [("explained", f"on {part} frames" + ("" if all_ else ", evenly spread"))]
    verb = "predictions differ in" if found.classes else "scores differ by"
    changed = f"{verb} {found.changed:.2%} {what} (tolerance {TOLERATED:.0%})"
    if found.first is None:
        largest = found.largest
        lines += [
            ("agree", f"yes: {changed}"),
            (
                "largest",
                f"error {largest.error:.1%} of the standard deviation, at {largest.name}",
            ),
        ]
    else:
        wrong = found.first.cause == INPUT
        lines += [("agree", "no: the input is wrong" if wrong else f"no: {changed}")]
        lines += _verdict("first at", found.first, found)
    if found.worst is not None:
        also = found.first is not None and found.first.cause == INPUT
        lines += _verdict("also at" if also else "most at", found.worst, found)
    return lines + [("note", note) for note in found.notes]


def _verdict(where: str, found: Verdict, whole: Explanation) -> list[tuple[str, str]]:
    origin = f" ({', '.join(found.origin)})" if found.origin else ""
    share = ""
    if found.cause != INPUT:
        names = [layer.name for layer in whole.layers]
        changed = np.diff([layer.changed for layer in whole.layers], prepend=0.0)
        added = f"{changed[names.index(found.layer)]:.2%}"
        share = f", which changes the scores by a further {added} of their variance"
        if whole.classes:
            share = f", which changes the prediction for a further {added} of the frames"
    return [
        (where, f"{found.layer}{origin}{share}"),
        ("cause", f"{found.cause}: {found.detail}"),
        ("remedy", found.remedy),
    ]


def columns(found: Explanation) -> tuple[str, ...]:
    """Headings of the table of layers."""
    return ("layer", "t_max", "changed", "error", "own", *_sources(found))


def rows(found: Explanation) -> list[tuple[Any, ...]]:
    """The table of layers."""
    return [_row(layer, _sources(found)) for layer in found.layers]


def _sources(found: Explanation) -> tuple[str, ...]:
    """Rungs at which any layer loses anything."""
    return tuple(r for r in ERROR_SOURCES if any(layer.parts[r] for layer in found.layers))


def _row(layer: LayerLoss, sources: tuple[str, ...]) -> tuple[Any, ...]:
    parts = (f"{layer.parts[source]:.1%}" if layer.parts[source] else "" for source in sources)
    shares = (f"{share:.1%}" for share in (layer.error, layer.own))
    return (layer.name, layer.t_max, f"{layer.changed:.2%}", *shares, *parts)


def print_explanation(found: Explanation) -> None:
    """Print the table of layers, then the result in words."""
    console = screen()
    console.print()
    print_table(console, columns(found), rows(found))
    console.print()
    for name, line in sentences(found):
        console.print(f"{name:<12}{line}", markup=False, soft_wrap=True)
