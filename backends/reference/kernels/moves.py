"""Levels that kernels read from other places than their own."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter


class Form(Protocol):
    """Levels in a model; ``moves`` holds what is written already."""

    writer: OnnxWriter
    shape: tuple[int, ...]
    moves: dict[Any, str]


def moved(
    form: Form, byte: str, offset: tuple[tuple[int, int], ...], places: tuple[int, ...]
) -> str:
    """uint8 levels at as many places of the first axes of space, zeros beyond the ends.

    ``offset`` holds the first place and the stride for each of these axes.
    """
    key, axes = (byte, offset, places), [2 + axis for axis in range(len(places))]
    firsts, steps = [first for first, _ in offset], [step for _, step in offset]
    lasts = [first + (n - 1) * step for (first, step), n in zip(offset, places, strict=True)]
    within = form.shape[1 : 1 + len(places)]
    if not any(firsts) and set(steps) == {1} and places == within:
        return byte
    if key in form.moves:
        return form.moves[key]
    behind = [last + 1 - n for last, n in zip(lasts, within, strict=True)]
    around = max(0, *behind, *(-first for first in firsts))
    starts, ends = [first + around for first in firsts], [last + around + 1 for last in lasts]
    bounds = (form.writer.constant(np.array(n, np.int64)) for n in (starts, ends, axes, steps))
    padded = _padded(form, byte, around, len(places))
    form.moves[key] = form.writer.add("Slice", padded, *bounds)
    return form.moves[key]


def _padded(form: Form, byte: str, around: int, axes: int) -> str:
    """The same for all that moves by as much in any direction."""
    key = byte, around, axes
    if around and key not in form.moves:
        side = [0, 0, *(around,) * axes, *(0,) * (len(form.shape) - 1 - axes)]
        zero = form.writer.constant(np.zeros((), np.uint8))
        pads = form.writer.constant(np.array(side * 2, np.int64))
        form.moves[key] = form.writer.add("Pad", byte, pads, zero)
    return form.moves[key] if around else byte
