"""Piecewise linear approximation with the fewest segments for a given error.

The error of a segment of width h is about h^2 |f''| / 8, so the knots that share it evenly lie at
equal steps of the integral of sqrt(|f''|) (C. de Boor, A Practical Guide to Splines, chapter XII).
The values at the knots are those with the least squared error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.formula import values
from qcompiler.ir.kernels import Array

_SAMPLES = 2049
_MOST = 64  # segments
_FINER = 8  # samples between two
_EVEN = 1e-3  # share of the knots' density that is the same everywhere


class PiecewiseLinear(NamedTuple):
    """Knots, the values there, and the largest error between them."""

    knots: Array
    values: Array
    error: float


@lru_cache(maxsize=1024)
def fit(formula: str, domain: Range, bound: float) -> PiecewiseLinear:
    """Fit the fewest segments whose error stays within ``bound``, at most 64.

    Raises ValueError if the function is not finite on the domain.
    """
    x = np.linspace(*domain, _SAMPLES)
    y = values(formula, x)
    if not np.isfinite(y).all():
        raise ValueError(f"is not finite for all values from {domain[0]:g} to {domain[1]:g}")
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


def error_between(formula: str, domain: Range, found: PiecewiseLinear) -> float:
    """The error of a fit between its samples, where the function jumps or nearly so; else 0."""
    x = np.linspace(*domain, _FINER * (_SAMPLES - 1) + 1)
    error = float(np.abs(np.interp(x, found.knots, found.values) - values(formula, x)).max())
    return error if error > 2 * found.error else 0.0


def _best(knots: Array, x: Array, y: Array) -> PiecewiseLinear:
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)
    fitted = np.linalg.lstsq(hats, y, rcond=None)[0]
    through = np.interp(knots, x, y)
    found = [
        PiecewiseLinear(knots, v, float(np.abs(hats @ v - y).max())) for v in (fitted, through)
    ]
    return min(found, key=lambda one: one.error)
