"""Piecewise linear approximation with the fewest segments for a given error.

The error of a segment of width h is about h^2 |f''| / 8, so the knots that share it evenly lie at
equal steps of the integral of sqrt(|f''|) (C. de Boor, A Practical Guide to Splines, chapter XII).
The values at the knots are those with the least squared error.

A function may jump or bend where it chooses (see `formula`): there are knots. Its jumps are taken
out of it, which leaves a continuous function. A jump is a clip of two levels: a step in spikes,
without large weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from math import inf

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.ann.formula import JUMPS, values
from qcompiler.ir.kernels import Array

from .continuous_fit import fit_continuous
from .jumps import FAINT, apart, choices_of, heights_of, jumping, ramp_of
from .piecewise import SAMPLES, PiecewiseLinear

KEPT = 1 << 14  # fits of a large network, all of which the pass and its warnings ask for
_MOST_CHOICES = 64
_FINER = 8  # samples between two


@lru_cache(maxsize=KEPT)
def fit(
    formula: str, domain: Range, bound: float, narrowest: float = 0.0, reach: float = inf
) -> PiecewiseLinear:
    """Fit the fewest segments whose error stays within ``bound``.

    Between two choices they are at most 64, or some for each turn of one that turns often. If
    segments of at least the width ``narrowest`` do not get there, the error is the least that
    they reach. Beyond ``reach``, errors count less, as a share of what the function gives there.
    Jumps by more than the bound are steps beside them, which have no error. Raises ValueError if
    the function is not finite on the domain, or chooses too often.
    """
    x = np.linspace(*domain, SAMPLES)
    if not np.isfinite(values(formula, x)).all():
        raise ValueError(f"is not finite for all values from {domain[0]:g} to {domain[1]:g}")
    left, right = choices_of(formula, x)
    if not len(left):
        return fit_continuous(partial(values, formula), domain, bound, narrowest, reach=reach)
    if len(left) > _MOST_CHOICES and JUMPS & {*formula.split()}:
        text = f"chooses between formulas at {len(left)} places, at most {_MOST_CHOICES}"
        raise ValueError(f"{text} are supported")
    heights = heights_of(formula, left, right, bound)
    smooth = (heights == 0) | jumping(formula, left, right)  # not a bend within a steep place
    left, right, heights = left[smooth], right[smooth], heights[smooth]
    kept = apart(right, heights != 0, domain, narrowest)
    left, right, heights = left[kept], right[kept], heights[kept]
    jumps = tuple(
        ramp_of(formula, float(before), float(behind), domain)
        for before, behind, height in zip(left, right, heights, strict=True)
        if height
    )
    below = np.concatenate(([0.0], np.cumsum(heights)))
    begins, ends = np.append(x[0], right), np.append(left, x[-1])
    parts = list(zip(begins, ends, below, strict=True))
    return _joined(formula, parts, bound, narrowest)._replace(jumps=jumps)


def _joined(
    formula: str, parts: Sequence[tuple[float, float, float]], bound: float, narrowest: float
) -> PiecewiseLinear:
    """The fits of the parts of a domain: where each begins and ends, and what jumps add to it."""
    knots, heights, error = [np.zeros(0)], [np.zeros(0)], 0.0
    whole = parts[-1][1] - parts[0][0]
    for begin, end, below in parts:
        if end - begin <= FAINT * max(whole, abs(begin), abs(end)):
            continue

        def function(x: Array, below: float = below) -> Array:
            return values(formula, x) - below

        found = fit_continuous(function, (begin, end), bound, narrowest, part=True)
        first = 1 if len(knots) > 1 else 0  # the knot between two parts is one
        knots.append(found.knots[first:])
        heights.append(found.values[first:])
        error = max(error, found.error)
    return PiecewiseLinear(np.concatenate(knots), np.concatenate(heights), error)


def error_within(formula: str, domain: Range, found: PiecewiseLinear, bounds: Range) -> float:
    """The error of a fit of a result that is cut to these bounds: beyond them, neither matters."""
    if found.jumps:
        return found.error
    x = np.linspace(*domain, SAMPLES)
    fitted, exact = np.interp(x, found.knots, found.values), values(formula, x)
    return float(np.abs(np.clip(fitted, *bounds) - np.clip(exact, *bounds)).max())


def error_between(formula: str, domain: Range, found: PiecewiseLinear) -> float:
    """The error of a fit between its samples, where the function is nearly a jump; else 0.

    What is written as a jump is exact.
    """
    x = np.linspace(*domain, _FINER * (SAMPLES - 1) + 1)
    error = np.interp(x, found.knots, found.values) - values(formula, x)
    for jump in found.jumps:
        error += jump.height * (x >= jump.begin + jump.width / 2)
        error[np.abs(x - jump.begin) <= 2 * jump.width] = 0
    most = float(np.abs(error).max())
    return most if most > 2 * found.error else 0.0
