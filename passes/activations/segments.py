"""Piecewise linear approximation with the fewest segments for a given error.

The error of a segment of width h is about h^2 |f''| / 8, so the knots that share it evenly lie at
equal steps of the integral of sqrt(|f''|) (C. de Boor, A Practical Guide to Splines, chapter XII).
The values at the knots are those with the least squared error.

A function may jump where it chooses (see `formula`). No weight is steep enough for a jump, so a
ramp takes its place; the segments on both sides of it are fitted by themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.formula import JUMPS, values
from qcompiler.ir.kernels import Array

_SAMPLES = 2049
_MOST = 64  # segments
_RAMP = 1 / 64  # of the domain: a weight of 8 bits holds twice its slope
_HALVINGS = 40
_NEXT_TO_NOTHING = 1e-9
_EVEN = 1e-3  # share of the knots' density that is the same everywhere


class PiecewiseLinear(NamedTuple):
    """Knots, the values there, the largest error between them, and the number of ramps.

    A ramp is a segment in place of a jump. What it is off counts as no error.
    """

    knots: Array
    values: Array
    error: float
    ramps: int = 0


@lru_cache(maxsize=1024)
def fit(formula: str, domain: Range, bound: float) -> PiecewiseLinear:
    """Fit the fewest segments whose error stays within ``bound``, at most 64 between two jumps.

    A jump by more than ``bound`` becomes a ramp, whose error does not count. Raises ValueError if
    the function is not finite on the domain.
    """
    x = np.linspace(*domain, _SAMPLES)
    y = values(formula, x)
    if not np.isfinite(y).all():
        raise ValueError(f"is not finite for all values from {domain[0]:g} to {domain[1]:g}")
    jumps = _jumps(formula, x, y, bound)
    if not jumps:
        return _continuous(x, y, bound)
    ends = _between_ramps(jumps, domain)
    pieces = [_piece(formula, begin, end, bound) for begin, end in ends]
    knots, heights = (np.concatenate(parts) for parts in list(zip(*pieces, strict=True))[:2])
    return PiecewiseLinear(knots, heights, max(piece.error for piece in pieces), len(jumps))


def _jumps(formula: str, x: Array, y: Array, bound: float) -> list[float]:
    """Where the function changes by more than the bound within next to nothing."""
    if not JUMPS & {*formula.split()}:
        return []
    at = np.flatnonzero(np.abs(np.diff(y)) > bound)
    left, right = x[at], x[at + 1]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        low, centre, high = (values(formula, ends) for ends in (left, middle, right))
        first = np.abs(centre - low) > np.abs(high - centre)
        left, right = np.where(first, left, middle), np.where(first, middle, right)
    change = np.abs(values(formula, right) - values(formula, left))
    found: list[float] = right[change > bound].tolist()
    return found


def _between_ramps(jumps: list[float], domain: Range) -> list[Range]:
    """The parts of a domain that no ramp covers; those at its ends may be single points."""
    low, high = domain
    apart = float(np.diff(jumps).min(initial=high - low))
    half = min((high - low) * _RAMP, apart / 2) / 2
    centres = np.clip(jumps, low + half, high - half)
    begins, ends = [low, *(centres + half)], [*(centres - half), high]
    return list(zip(begins, ends, strict=True))


def _piece(formula: str, begin: float, end: float, bound: float) -> PiecewiseLinear:
    """The segments between two ramps; a single knot if there is no room between them."""
    if end - begin <= _NEXT_TO_NOTHING * max(abs(begin), abs(end)):
        knots = np.array([begin])
        return PiecewiseLinear(knots, values(formula, knots), 0.0)
    x = np.linspace(begin, end, _SAMPLES)
    return _continuous(x, values(formula, x), bound)


def _continuous(x: Array, y: Array, bound: float) -> PiecewiseLinear:
    bend = np.sqrt(np.abs(np.diff(y, 2)))
    bend = np.concatenate((bend[:1], bend, bend[-1:]))
    density = bend + _EVEN * bend.mean() + 1e-30
    total = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    for count in range(1, _MOST + 1):
        knots = np.interp(np.linspace(0, total[-1], count + 1), total, x)
        found = _best(knots, x, y)
        if found.error <= bound:
            break
    return found


def _best(knots: Array, x: Array, y: Array) -> PiecewiseLinear:
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)
    fitted = np.linalg.lstsq(hats, y, rcond=None)[0]
    through = np.interp(knots, x, y)
    found = [
        PiecewiseLinear(knots, v, float(np.abs(hats @ v - y).max())) for v in (fitted, through)
    ]
    return min(found, key=lambda one: one.error)
