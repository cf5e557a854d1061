"""How far the next value lies beyond all that calibration has seen.

One of n + 1 values is the largest, so the next exceeds n others with probability 1 / (n + 1). By
how much, the largest of them tell: above a high threshold the excess of most distributions is
exponential (Pickands, Ann. Statist. 3, 1975), and its mean is that of the values above one.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_PLACES = 8  # of equal probability, that stand for the next value
_NONE = 1e-3  # of the range: a smaller excess is that of values that gather at their end
_EXPONENTIAL = -np.log1p(-(np.arange(_PLACES) + 0.5) / _PLACES)


def beyond(values: Array, counts: Array) -> Array:
    """Equally likely places of the next value above all; none if values gather at their end.

    ``values`` are in ascending order, with how often each was seen.
    """
    above = int(np.ceil(np.sqrt(counts.sum())))
    seen = np.cumsum(counts[::-1])
    threshold = int(np.searchsorted(seen, above + 0.5))
    if threshold >= len(values):
        return np.zeros(0)
    largest, often = values[::-1][:threshold], counts[::-1][:threshold].copy()
    base = values[::-1][threshold]
    excess = float((often * (largest - base)).sum()) / above
    if excess <= _NONE * (values[-1] - values[0]):
        return np.zeros(0)
    found: Array = values[-1] + excess * _EXPONENTIAL
    return found
