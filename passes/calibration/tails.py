"""How far ranges of very many levels reach beyond what calibration has seen.

One of n + 1 values is the largest, so the next exceeds n others with probability 1 / (n + 1). By
how much, the largest of them tell: above a high threshold the excess of most distributions is
exponential (Pickands, Ann. Statist. 3, 1975), and its mean e is that of the values above one. A
range of width R and L levels that reaches m farther has the expected squared errors

    2 e^2 exp(-m / e) / (n + 1)   of cutting the next value       (R + m)^2 / (12 L^2)   of rounding

which are least together near ``m = e log(12 L^2 e / ((n + 1) R))``. It is at most e, where the next
value above all lies on average: tails of sums end sooner than exponential ones.
"""

from __future__ import annotations

from math import log

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.kernels import Array

_TIMES = 4  # the levels of other values, whose noise is 16 times as high, then
_GATHERED = 1e-3  # of the range: a smaller excess is that of values that gather at their end


def are_plenty(levels: int, t_max: int) -> bool:
    """Whether levels are so many beside those of other values that a range may be wider."""
    return levels >= _TIMES * t_max


def reaching(bounds: Range, values: Array, counts: Array, levels: int) -> Range:
    """A range that reaches for the next value, at the ends that do not cut what was seen.

    ``values`` are in ascending order, with how often each was seen.
    """
    low, high = bounds
    if not len(values):  # all are 0
        return bounds
    if low <= values[0]:
        low = min(low, float(values[0]) - _reach(-values[::-1], counts[::-1], levels))
    if high >= values[-1]:
        high = max(high, float(values[-1]) + _reach(values, counts, levels))
    return low, high


def _reach(values: Array, counts: Array, levels: int) -> float:
    """How far to reach above all values; 0 if they gather at their end."""
    width, n = float(values[-1] - values[0]), float(counts.sum())
    largest = int(np.ceil(np.sqrt(n)))
    seen = np.cumsum(counts[::-1])
    threshold = int(np.searchsorted(seen, largest + 0.5))
    if threshold >= len(values):
        return 0.0
    base = values[::-1][threshold]
    excess = float((counts[::-1] * (values[::-1] - base))[:threshold].sum()) / largest
    if excess <= _GATHERED * width:
        return 0.0
    return excess * min(max(log(12 * levels**2 * excess / ((n + 1) * width)), 0.0), 1.0)
