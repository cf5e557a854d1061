"""The error of an output as a share of its spread: as a whole, and where it is worst.

The spread is the standard deviation over frames. Every element has its own mean, so that elements
in unlike units do not lend each other their spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array

_FEWEST_FRAMES = 8  # that tell what the spread of one element is
_FEW_ELEMENTS = 64  # up to here, every element of an output of several axes is looked at
_LONGEST_AXIS = 4096
SINGLE = 1e-5  # of the largest value: sums in single precision differ by as much
_SHARE = 0.1  # of the spread of others: what an element that hardly moves is compared with
_PIECE = 1 << 22  # elements that are squared at once


@dataclass(frozen=True)
class Part:
    """An element of an output, or all at one place of an axis; None stands for a whole axis.

    ``error`` is its root-mean-square error as a share of its spread.
    """

    index: tuple[int | None, ...]
    error: float

    def __str__(self) -> str:
        return f"[{', '.join(':' if at is None else str(at) for at in self.index)}]"


@dataclass(frozen=True)
class OutputError:
    """The error of one output: ``error`` is its root mean square as a share of ``spread``.

    ``spread`` is in units of the output. ``error`` is None if the model's output is the same in all
    frames, or there is but one. ``parts`` are its elements, or places of its axes, the worst first.
    """

    name: str
    frames: int
    error: float | None
    spread: float
    parts: tuple[Part, ...] = ()

    @property
    def worst(self) -> Part | None:
        """The part with the largest error, if the output has parts."""
        return self.parts[0] if self.parts else None

    def to_dict(self) -> dict[str, Any]:
        """What is known as plain JSON."""
        worst = None
        if self.worst is not None:
            worst = {"element": list(self.worst.index), "error": _three_digits(self.worst.error)}
        error = None if self.error is None else _three_digits(self.error)
        return {"error": error, "spread": _three_digits(self.spread), "worst": worst}


def output_error(name: str, ours: Array, theirs: Array) -> OutputError:
    """Compare two arrays ``frames x shape`` of real numbers, ``theirs`` being right."""
    frames, shape = len(theirs), theirs.shape[1:]
    errors = _mean_squares(ours, theirs)
    if frames < _FEWEST_FRAMES:
        variance = np.full(shape, np.var(theirs, dtype=np.float64))
    else:
        variance = _mean_squares(theirs, theirs.mean(axis=0, dtype=np.float64)[None])
    largest = float(np.abs(theirs).max(initial=0.0))
    spread = float(np.sqrt(variance.mean()))
    if spread <= SINGLE * largest:
        return OutputError(name, frames, None, 0.0)
    error = float(np.sqrt(errors.mean())) / spread
    parts = _parts(theirs, errors, variance) if frames >= _FEWEST_FRAMES else ()
    return OutputError(name, frames, error, spread, parts)


def _three_digits(number: float) -> float:
    return float(f"{number:.3g}")


def _mean_squares(one: Array, other: Array) -> Array:
    """The mean over frames of the squared difference of every element, in double precision."""
    total = np.zeros(one.shape[1:])
    step = max(1, _PIECE // max(1, total.size))
    for begin in range(0, len(one), step):
        piece = one[begin : begin + step].astype(np.float64)
        piece -= other if len(other) == 1 else other[begin : begin + step]
        total += np.square(piece, out=piece).sum(axis=0)
    return total / len(one)


def _parts(theirs: Array, errors: Array, variance: Array) -> tuple[Part, ...]:
    """All parts, the worst first."""
    low, high = theirs.min(axis=0), theirs.max(axis=0)
    quiet = _at_rest(theirs, low, high)
    found: list[Part] = []
    for axes, kept in _groupings(errors.shape):
        error, var = errors.mean(axis=axes), variance.mean(axis=axes)
        lowest, highest = low.min(axis=axes), high.max(axis=axes)
        floor = (SINGLE * np.maximum(abs(lowest), abs(highest))).astype(np.float64) ** 2
        floor = np.where(quiet.all(axis=axes), _SHARE**2 * var.mean(), floor)
        shares = (lowest >= 0) & (highest <= 1)  # such as probabilities, which share a unit
        if shares.any():
            floor = np.where(shares, np.maximum(floor, _SHARE**2 * var[shares].mean()), floor)
        ratio = np.sqrt(error / np.maximum(np.maximum(var, floor), np.finfo(float).tiny))
        for place, value in np.ndenumerate(ratio):
            where = iter(place)
            index = tuple(next(where) if axis in kept else None for axis in range(errors.ndim))
            found.append(Part(index, float(value)))
    return tuple(sorted(found, key=lambda part: -part.error))


def _groupings(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Axes to take means over, and those that are left, for every kind of part."""
    every = tuple(range(len(shape)))
    long = [axis for axis in every if 1 < shape[axis] <= _LONGEST_AXIS]
    if len(long) > 1 and np.prod(shape) <= _FEW_ELEMENTS:
        yield (), every
        return
    for axis in long:
        yield tuple(other for other in every if other != axis), (axis,)


def _at_rest(theirs: Array, low: Array, high: Array) -> Array:
    """Which elements keep their lowest or highest value in most frames, as behind a ReLU."""
    half = len(theirs) / 2
    found: Array = ((theirs == low).sum(axis=0) > half) | ((theirs == high).sum(axis=0) > half)
    return found
