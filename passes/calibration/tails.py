"""How far ranges reach beyond what calibration has seen.

One of n + 1 values is the largest, so the next exceeds n others with probability 1 / (n + 1). By
how much, the two largest tell: where the tail is exponential with mean e, they are e apart on
average, whatever n is (Renyi, Acta Math. Acad. Sci. Hung. 4, 1953); frames are independent, places
in one are not. A range of width R and L levels that reaches m farther has the expected squared
errors

    2 e^2 exp(-m / e) / (n + 1)   of cutting the next value       (R + m)^2 / (12 L^2)   of rounding

which are least together near ``m = e log(12 L^2 e / ((n + 1) R))``. Channels whose largest value
lies d lower have exp(-d / e) of the first. Sums have the tail of a normal distribution, which at
the distance a from its middle is exponential with e, and becomes steeper: it comes as far by
``sqrt(a^2 + 2 a m) - a``.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from .peaks import Peaks

_GATHERED = 1e-3  # of the range: a smaller excess is that of values that gather at their end


def reach_of(peaks: Peaks, lowest: Peaks, middle: float, width: float, levels: int) -> float:
    """How far a range of this width should reach above the largest of all values; 0 if not.

    ``lowest`` are the peaks of the negative values, ``middle`` is that of the values. Integers are
    not a sample of something continuous. Of one frame, values differ by what they are.
    """
    alone = peaks.second is None
    varies = (peaks.first > -lowest.first) | alone
    if not varies.any() or (peaks.are_whole and lowest.are_whole):
        return 0.0
    first = peaks.first[varies]
    other = peaks.sign * middle if peaks.second is None else peaks.second[varies]
    excess = float((first - other).mean())
    if excess <= _GATHERED * width:
        return 0.0
    top = float(peaks.first.max())
    share = float(np.exp((first - top) / excess).mean())
    worth = 12 * levels**2 * excess * share / ((peaks.each + 1) * width)
    distance, farther = abs(top - peaks.sign * middle), excess * log(max(worth, 1.0))
    return sqrt(distance * (distance + 2 * farther)) - distance
