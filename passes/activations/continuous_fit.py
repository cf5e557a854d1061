"""Segments of a continuous function: the fewest within an error, or those of the least error."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.kernels import Array

from .piecewise import SAMPLES, TAIL, PiecewiseLinear

_Function: TypeAlias = Callable[[Array], Array]

MOST_SEGMENTS = 64
_OFTEN, _MOST_TURNS = 16, 128  # turns: fewer need no more segments, of more samples are too few
_EACH = 4, 12  # segments for each turn, fewest and most
_SWING = 4.0  # times the error, from which on a swing takes segments of its own
_EVEN = 1e-3  # share of the knots' density that is the same everywhere
_ZOOMS = 3  # each by up to the number of samples
_FLATTER = 16.0  # share of the error within which a function is flat up to its end
_ALIKE = 1.01  # errors that count as equal
_PATIENCE = 8  # more segments without a smaller error
_TINY = 1e-300  # a result that is none
_ROUNDS = 50  # until the density keeps segments from being too narrow


def fit_continuous(
    function: _Function,
    domain: Range,
    bound: float,
    narrowest: float,
    part: bool = False,
    reach: float = inf,
) -> PiecewiseLinear:
    """The segments of a continuous function; those of a ``part`` are exact at its ends.

    Where it lies beyond ``reach``, an error counts by as much less.

    Where it hardly changes up to an end of its domain, it is flat: a segment of small slope there
    would pass on differences that saturated values do not have.
    """
    low, high = _inner(function, domain, bound / _FLATTER, narrowest)
    flat = low > domain[0], high < domain[1]
    x, ends = np.linspace(low, high, SAMPLES), function(np.array(domain))
    y = function(x).copy()
    y[[0, -1]] = np.where(flat, ends, y[[0, -1]])
    counts = np.minimum(1.0, reach / np.maximum(np.abs(y), _TINY))
    found = _segments(x, y, bound, narrowest, (part or flat[0], part or flat[1]), counts)
    before, behind = slice(0, int(flat[0])), slice(1, 1 + int(flat[1]))
    return found._replace(
        knots=np.concatenate((domain[before], found.knots, domain[behind])),
        values=np.concatenate((ends[before], found.values, ends[behind])),
    )


def _inner(function: _Function, domain: Range, faint: float, narrowest: float) -> Range:
    """Where a function is not flat, at least as wide as a segment."""
    low, high = domain
    first, last = function(np.array(domain))
    for _ in range(_ZOOMS):
        x = np.linspace(low, high, SAMPLES)
        y = function(x)
        rises, falls = np.abs(y - first) > faint, np.abs(y - last) > faint
        begin = int(np.argmax(np.append(rises, True))) - 1
        end = len(x) - int(np.argmax(np.append(falls[::-1], True)))
        if begin >= end:
            return domain
        low, high = float(x[max(begin, 0)]), float(x[min(end, len(x) - 1)])
    missing = max(0.0, narrowest - (high - low)) / 2
    least = TAIL * (domain[1] - domain[0])
    begin_at = low - missing if low - missing - domain[0] > least else domain[0]
    end_at = high + missing if domain[1] - high - missing > least else domain[1]
    if begin_at > domain[0] and end_at == domain[1]:  # what is missing beyond an end
        begin_at = max(min(begin_at, end_at - narrowest), domain[0])
    elif begin_at == domain[0] and end_at < domain[1]:
        end_at = min(max(end_at, begin_at + narrowest), domain[1])
    return begin_at, end_at


def _segments(
    x: Array, y: Array, bound: float, narrowest: float, exact: tuple[bool, bool], counts: Array
) -> PiecewiseLinear:
    """The fewest segments within the bound, or of the least error; ``exact`` at these ends.

    ``counts`` is what errors count at each sample.
    """
    bend = np.sqrt(np.abs(np.diff(y, 2)) * counts[1:-1])
    bend = np.concatenate((bend[:1], bend, bend[-1:]))
    density = bend + _EVEN * bend.mean() + 1e-30
    fitting = (x[-1] - x[0]) / narrowest if narrowest else np.inf
    tried: list[PiecewiseLinear] = []
    for count in _counts(_turns(y, bound), fitting):
        tried.append(_best(_knots(x, density, count, narrowest), x, y, exact, counts))
        stuck = min(one.error for one in tried[-_PATIENCE:]) > min(one.error for one in tried)
        if tried[-1].error <= bound or (narrowest and stuck):
            break
    enough = max(bound, _ALIKE * min(one.error for one in tried))
    return next(one for one in tried if one.error <= enough)


def _counts(turns: int, fitting: float) -> range:
    """How many segments to try: at once some for each turn of a function that turns often."""
    if not _OFTEN <= turns <= _MOST_TURNS:
        return range(1, int(np.clip(fitting, 1, MOST_SEGMENTS)) + 1)
    fewest, most = (int(np.clip(fitting, 1, each * turns)) for each in _EACH)
    return range(fewest, most + 1, turns // 4)


def _turns(y: Array, bound: float) -> int:
    """How often a function swings by more than its error may be."""
    moves = np.flatnonzero(np.diff(y))
    turning = moves[1:][np.diff(np.sign(np.diff(y)[moves])) != 0]
    return int(np.count_nonzero(np.abs(np.diff(y[turning])) > _SWING * bound))


def _knots(x: Array, density: Array, count: int, narrowest: float) -> Array:
    """Ends of segments, each with its share of the density, none narrower than ``narrowest``."""
    most = np.inf
    for _ in range(_ROUNDS):
        capped = np.minimum(density, most)
        total = np.concatenate(([0.0], np.cumsum((capped[1:] + capped[:-1]) / 2)))
        if narrowest == 0:
            break
        most = total[-1] / count * (x[1] - x[0]) / narrowest
        if most >= capped.max():
            break
    return np.interp(np.linspace(0, total[-1], count + 1), total, x)


def _best(
    knots: Array, x: Array, y: Array, exact: tuple[bool, bool], counts: Array
) -> PiecewiseLinear:
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)
    through = np.interp(knots, x, y)
    free = slice(int(exact[0]), len(knots) - int(exact[1]))
    fitted = through.copy()
    fitted[free] = 0
    rest, rows = (y - hats @ fitted) * counts, hats[:, free] * counts[:, None]
    fitted[free] = np.linalg.lstsq(rows, rest, rcond=None)[0]
    found = [
        PiecewiseLinear(knots, v, float(np.abs((hats @ v - y) * counts).max()))
        for v in (fitted, through)
    ]
    return min(found, key=lambda one: one.error)
