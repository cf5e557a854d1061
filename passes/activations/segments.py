"""Piecewise linear approximation with the fewest segments for a given error.

The error of a segment of width h is about h^2 |f''| / 8, so the knots that share it evenly lie at
equal steps of the integral of sqrt(|f''|) (C. de Boor, A Practical Guide to Splines, chapter XII).
The values at the knots are those with the least squared error.

A function may jump or bend where it chooses (see `formula`): there are knots. Its jumps are taken
out of it, which leaves a continuous function. A jump is a clip of two levels: a step in spikes,
without large weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.ann.formula import CHOICES, JUMPS, choices, values
from qcompiler.ir.kernels import Array

_Function: TypeAlias = Callable[[Array], Array]

_SAMPLES = 2049
MOST_SEGMENTS = 64
_RAMP = 1 / 256  # of the domain
_ASIDE = 1 / 8  # of a ramp, by which its step is beside the jump
_FAINT = 1e-9  # share of the domain within which a place is zero
_HALVINGS = 40
_MOST_CHOICES = 64
_MOST_BENDS = 8
_FINER = 8  # samples between two
_EVEN = 1e-3  # share of the knots' density that is the same everywhere
_FLAT = 1e-6  # slopes below this share of the steepest are none
_TAIL = 1 / 32  # of the domain, from which a flat end is one
_ZOOMS = 3  # each by up to the number of samples
_FLATTER = 16.0  # share of the error within which a function is flat up to its end
_ALIKE = 1.01  # errors that count as equal
_PATIENCE = 8  # more segments without a smaller error
_ROUNDS = 50  # until the density keeps segments from being too narrow


class Jump(NamedTuple):
    """A step by ``height``, written as a ramp from ``begin`` over ``width``."""

    begin: float
    width: float
    height: float


class PiecewiseLinear(NamedTuple):
    """Knots, the values there without all jumps, the largest error between them, and the jumps."""

    knots: Array
    values: Array
    error: float
    jumps: tuple[Jump, ...] = ()

    @property
    def slopes(self) -> Array:
        """The slope of every segment; 0 for nearly flat ones."""
        found: Array = np.diff(self.values) / np.diff(self.knots)
        steep = np.abs(found) > _FLAT * np.abs(found).max()
        return np.where(steep, found, 0.0)


@lru_cache(maxsize=1024)
def fit(formula: str, domain: Range, bound: float, narrowest: float = 0.0) -> PiecewiseLinear:
    """Fit the fewest segments whose error stays within ``bound``, at most 64 between two choices.

    If segments of at least the width ``narrowest`` do not get there, the error is the least that
    they reach. Jumps by more than the bound are steps beside them, which have no error. Raises
    ValueError if the function is not finite on the domain, or chooses too often.
    """
    x = np.linspace(*domain, _SAMPLES)
    if not np.isfinite(values(formula, x)).all():
        raise ValueError(f"is not finite for all values from {domain[0]:g} to {domain[1]:g}")
    left, right = _choices(formula, x)
    if not len(left):
        return _continuous(partial(values, formula), domain, bound, narrowest)
    if len(left) > _MOST_CHOICES and JUMPS & {*formula.split()}:
        text = f"chooses between formulas at {len(left)} places, at most {_MOST_CHOICES}"
        raise ValueError(f"{text} are supported")
    heights = _heights(formula, left, right, bound)
    smooth = (heights == 0) | _jumping(formula, left, right)  # not a bend within a steep place
    left, right, heights = left[smooth], right[smooth], heights[smooth]
    kept = _apart(right, heights != 0, domain, narrowest)
    left, right, heights = left[kept], right[kept], heights[kept]
    jumps = tuple(
        Jump(_ramp(formula, float(place), domain), (x[-1] - x[0]) * _RAMP, float(height))
        for place, height in zip(right, heights, strict=True)
        if height
    )
    below = np.concatenate(([0.0], np.cumsum(heights)))
    begins, ends = np.append(x[0], right), np.append(left, x[-1])
    parts = zip(begins, ends, below, strict=True)
    return _joined(formula, parts, bound, narrowest)._replace(jumps=jumps)


def jumps_of(formula: str, domain: Range, bound: float) -> Array:
    """Where a function jumps by more than a bound, in ascending order."""
    left, right = _choices(formula, np.linspace(*domain, _SAMPLES))
    found: Array = right[
        _jumping(formula, left, right) & (_heights(formula, left, right, bound) != 0)
    ]
    return found


def _jumping(formula: str, left: Array, right: Array) -> Array:
    """At which places words change that jump."""
    if not JUMPS & {*formula.split()}:
        return np.zeros(len(left), bool)
    found: Array = (choices(formula, left, JUMPS) != choices(formula, right, JUMPS)).any(axis=0)
    return found


def _heights(formula: str, left: Array, right: Array, bound: float) -> Array:
    heights = values(formula, right) - values(formula, left)
    found: Array = np.where(np.abs(heights) > bound, heights, 0.0)
    return found


def _apart(places: Array, jumps: Array, domain: Range, narrowest: float) -> list[int]:
    """The indices of all jumps, and of the bends that leave room for a segment on both sides.

    Many bends are none: segments follow the curve.
    """
    if np.count_nonzero(~jumps) > _MOST_BENDS:
        return [at for at, jump in enumerate(jumps) if jump]
    room = max(narrowest, _TAIL * (domain[1] - domain[0]))
    ends = [*domain, *places[jumps]]
    for place in places[~jumps]:
        if min(abs(place - end) for end in ends) >= room:
            ends.append(place)
    return [at for at, place in enumerate(places) if jumps[at] or place in ends[2:]]


def _choices(formula: str, x: Array) -> tuple[Array, Array]:
    """The numbers below and above every place where a comparison or rounding changes its result."""
    if not CHOICES & {*formula.split()}:
        return x[:0], x[:0]
    found = choices(formula, x)
    at = np.flatnonzero((found[:, 1:] != found[:, :-1]).any(axis=0))
    left, right = x[at], x[at + 1]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        same = (choices(formula, middle) == choices(formula, left)).all(axis=0)
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    return left, right


def _joined(
    formula: str, parts: Iterable[tuple[float, float, float]], bound: float, narrowest: float
) -> PiecewiseLinear:
    """The fits of the parts of a domain: where each begins and ends, and what jumps add to it."""
    knots, heights, error = [np.zeros(0)], [np.zeros(0)], 0.0
    for begin, end, below in parts:
        if end - begin <= _FAINT * max(abs(begin), abs(end)):
            continue

        def function(x: Array, below: float = below) -> Array:
            return values(formula, x) - below

        found = _continuous(function, (begin, end), bound, narrowest, part=True)
        first = 1 if len(knots) > 1 else 0  # the knot between two parts is one
        knots.append(found.knots[first:])
        heights.append(found.values[first:])
        error = max(error, found.error)
    return PiecewiseLinear(np.concatenate(knots), np.concatenate(heights), error)


def _ramp(formula: str, place: float, domain: Range) -> float:
    """Where the ramp of a jump begins: at half of its height lies the step of the spikes.

    Many values may lie on the jump exactly, as zeros of a ReLU do, at the end of the domain. So the
    value there is before or behind the step, as it is in the function in single precision.
    """
    low, high = domain
    width = (high - low) * _RAMP
    exact = float(np.float32(place)) if abs(place) > _FAINT * (high - low) else 0.0
    there, before, behind = values(
        formula, np.array([exact, exact - width, exact + width]), np.float32
    )
    upwards = abs(there - before) <= abs(there - behind)
    at_end = not low + width < place < high - width
    half = width / 2 if at_end else width * _ASIDE
    return exact - width / 2 + (half if upwards else -half)


def _continuous(
    function: _Function, domain: Range, bound: float, narrowest: float, part: bool = False
) -> PiecewiseLinear:
    """The segments of a continuous function; those of a ``part`` are exact at its ends.

    Where it hardly changes up to an end of its domain, it is flat: a segment of small slope there
    would pass on differences that saturated values do not have.
    """
    low, high = _inner(function, domain, bound / _FLATTER, narrowest)
    flat = low > domain[0], high < domain[1]
    x, ends = np.linspace(low, high, _SAMPLES), function(np.array(domain))
    y = function(x).copy()
    y[[0, -1]] = np.where(flat, ends, y[[0, -1]])
    found = _segments(x, y, bound, narrowest, (part or flat[0], part or flat[1]))
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
        x = np.linspace(low, high, _SAMPLES)
        y = function(x)
        rises, falls = np.abs(y - first) > faint, np.abs(y - last) > faint
        begin = int(np.argmax(np.append(rises, True))) - 1
        end = len(x) - int(np.argmax(np.append(falls[::-1], True)))
        if begin >= end:
            return domain
        low, high = float(x[max(begin, 0)]), float(x[min(end, len(x) - 1)])
    missing = max(0.0, narrowest - (high - low)) / 2
    least = _TAIL * (domain[1] - domain[0])
    return (
        low - missing if low - missing - domain[0] > least else domain[0],
        high + missing if domain[1] - high - missing > least else domain[1],
    )


def _segments(
    x: Array, y: Array, bound: float, narrowest: float, exact: tuple[bool, bool]
) -> PiecewiseLinear:
    """The fewest segments within the bound, or of the least error; ``exact`` at these ends."""
    bend = np.sqrt(np.abs(np.diff(y, 2)))
    bend = np.concatenate((bend[:1], bend, bend[-1:]))
    density = bend + _EVEN * bend.mean() + 1e-30
    fitting = (x[-1] - x[0]) / narrowest if narrowest else np.inf
    most = int(np.clip(fitting, 1, MOST_SEGMENTS))
    tried: list[PiecewiseLinear] = []
    for count in range(1, most + 1):
        tried.append(_best(_knots(x, density, count, narrowest), x, y, exact))
        stuck = min(one.error for one in tried[-_PATIENCE:]) > min(one.error for one in tried)
        if tried[-1].error <= bound or (narrowest and stuck):
            break
    enough = max(bound, _ALIKE * min(one.error for one in tried))
    return next(one for one in tried if one.error <= enough)


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


def error_between(formula: str, domain: Range, found: PiecewiseLinear) -> float:
    """The error of a fit between its samples, where the function is nearly a jump; else 0.

    What is written as a jump is exact.
    """
    x = np.linspace(*domain, _FINER * (_SAMPLES - 1) + 1)
    error = np.interp(x, found.knots, found.values) - values(formula, x)
    for jump in found.jumps:
        error += jump.height * (x >= jump.begin + jump.width / 2)
        error[np.abs(x - jump.begin) <= 2 * jump.width] = 0
    most = float(np.abs(error).max())
    return most if most > 2 * found.error else 0.0


def _best(knots: Array, x: Array, y: Array, exact: tuple[bool, bool]) -> PiecewiseLinear:
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)
    through = np.interp(knots, x, y)
    free = slice(int(exact[0]), len(knots) - int(exact[1]))
    fitted = through.copy()
    fitted[free] = 0
    fitted[free] = np.linalg.lstsq(hats[:, free], y - hats @ fitted, rcond=None)[0]
    found = [
        PiecewiseLinear(knots, v, float(np.abs(hats @ v - y).max())) for v in (fitted, through)
    ]
    return min(found, key=lambda one: one.error)
