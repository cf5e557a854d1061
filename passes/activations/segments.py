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
MOST_SEGMENTS = 64
_EVEN = 1e-3  # share of the knots' density that is the same everywhere
_FLAT = 1e-6  # slopes below this share of the steepest are none
_ALIKE = 1.01  # errors that count as equal
_PATIENCE = 8  # more segments without a smaller error
_ROUNDS = 50  # until the density keeps segments from being too narrow


class PiecewiseLinear(NamedTuple):
    """Knots, the values there, and the largest error between them."""

    knots: Array
    values: Array
    error: float

    @property
    def slopes(self) -> Array:
        """The slope of every segment; 0 for nearly flat ones."""
        found: Array = np.diff(self.values) / np.diff(self.knots)
        steep = np.abs(found) > _FLAT * np.abs(found).max()
        return np.where(steep, found, 0.0)


@lru_cache(maxsize=1024)
def fit(formula: str, domain: Range, bound: float, narrowest: float = 0.0) -> PiecewiseLinear:
    """Fit the fewest segments whose error stays within ``bound``, at most 64.

    If segments of at least the width ``narrowest`` do not get there, the error is the least that
    they reach. Raises ValueError if the function is not finite on the domain.
    """
    x = np.linspace(*domain, _SAMPLES)
    y = values(formula, x)
    if not np.isfinite(y).all():
        raise ValueError(f"is not finite for all values from {domain[0]:g} to {domain[1]:g}")
    bend = np.sqrt(np.abs(np.diff(y, 2)))
    bend = np.concatenate((bend[:1], bend, bend[-1:]))
    density = bend + _EVEN * bend.mean() + 1e-30
    fitting = (x[-1] - x[0]) / narrowest if narrowest else np.inf
    most = int(np.clip(fitting, 1, MOST_SEGMENTS))
    tried: list[PiecewiseLinear] = []
    for count in range(1, most + 1):
        tried.append(_best(_knots(x, density, count, narrowest), x, y))
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


def _best(knots: Array, x: Array, y: Array) -> PiecewiseLinear:
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)
    fitted = np.linalg.lstsq(hats, y, rcond=None)[0]
    through = np.interp(knots, x, y)
    found = [
        PiecewiseLinear(knots, v, float(np.abs(hats @ v - y).max())) for v in (fitted, through)
    ]
    return min(found, key=lambda one: one.error)
