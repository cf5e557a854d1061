"""How far ranges reach beyond what calibration has seen.

One of n + 1 values is the largest, so the next exceeds n others with probability 1 / (n + 1). By
how much, the largest tell: above a high threshold the excess of most distributions is exponential
(Pickands, Ann. Statist. 3, 1975), and its mean e is that of the values above one, which here are
those of different frames: places in one are not independent. A range of width R and L levels that
reaches m farther has the expected squared errors

    2 e^2 exp(-m / e) / (n + 1)   of cutting the next value       (R + m)^2 / (12 L^2)   of rounding

which are least together near ``m = e log(12 L^2 e / ((n + 1) R))``. Channels whose largest value
lies d lower have exp(-d / e) of the first. Sums have the tail of a normal distribution, which at
the distance a from its middle is exponential with e, and becomes steeper: it comes as far by
``sqrt(a^2 + 2 a m) - a``.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.kernels import Array

from .grid import are_whole

_GATHERED = 1e-3  # of the range: a smaller excess is that of values that gather at their end
_CUT = 1 / 16  # of a range: ends that cut more than a search is coarse stay
_KEPT = 4


class Peaks:
    """The largest values of every channel in different frames; ``each`` were seen of a channel.

    With ``sign`` -1 these are the lowest, and all are negative numbers of them.
    """

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.each = 0
        self._kept = np.zeros((0, 0))  # frames x channels, in ascending order

    def add(self, values: Array) -> None:
        """Look at some frames, ``frames x channels x ..``, or ``frames`` of one channel."""
        channels = values.reshape(len(values), *(values.shape[1:2] or (1,)), -1)
        self.each += len(values) * channels.shape[2]
        ends = channels.max(axis=2) if self.sign > 0 else channels.min(axis=2)
        ends = self.sign * ends.astype(np.float64)
        known = np.concatenate([self._kept, ends]) if len(self._kept) else ends
        if len(known) > _KEPT:
            known = np.partition(known, -_KEPT, axis=0)[-_KEPT:]
        self._kept = np.sort(known, axis=0)

    @property
    def first(self) -> Array:
        """The largest value of every channel."""
        found: Array = self._kept[-1]
        return found

    def excess(self, middle: float) -> Array:
        """By how much the largest of a channel exceed the least that is kept, on average.

        Two that are alike gather at their end: that is no excess. Of one frame, it is how far they
        are from the ``middle`` of all values.
        """
        if len(self._kept) < 2:
            return self.first - self.sign * middle
        above = self._kept[1:].mean(axis=0) - self._kept[0]
        found: Array = np.where(self._kept[-1] > self._kept[-2], above, 0.0)
        return found

    @property
    def are_whole(self) -> bool:
        """Whether all that are kept are integers."""
        return are_whole(self._kept)


def reaching(
    bounds: Range,
    peaks: tuple[Peaks, Peaks],
    levels: int,
    low: float | None,
    high: float | None,
    middle: float,
) -> Range:
    """A range that reaches for the next value, within the bounds of a clip.

    ``peaks`` are the highest and the lowest values, ``middle`` is that of all.
    """
    tops, bottoms = peaks
    bottom, top = bounds
    width, lowest, highest = top - bottom, -float(bottoms.first.max()), float(tops.first.max())
    room = 0.0 if low is not None else reach_of(bottoms, tops, middle, width, levels)
    if room and bottom - lowest <= _CUT * width:
        bottom = min(bottom, lowest - room)
    room = reach_of(tops, bottoms, middle, width, levels)
    if room and highest - top <= _CUT * width:
        top = max(top, highest + room)
    return bottom, top if high is None else max(min(top, high), bounds[1])


def reach_of(peaks: Peaks, lowest: Peaks, middle: float, width: float, levels: int) -> float:
    """How far a range of this width should reach above the largest of all values; 0 if not.

    ``lowest`` are the peaks of the negative values, ``middle`` is that of the values. Integers are
    not a sample of something continuous.
    """
    excesses = peaks.excess(middle)
    varies = (peaks.first > -lowest.first) | (excesses > 0)
    if not varies.any() or (peaks.are_whole and lowest.are_whole):
        return 0.0
    first, excess = peaks.first[varies], float(excesses[varies].mean())
    if excess <= _GATHERED * width:
        return 0.0
    top = float(peaks.first.max())
    share = float(np.exp((first - top) / excess).mean())
    worth = 12 * levels**2 * excess * share / ((peaks.each + 1) * width)
    distance, farther = abs(top - peaks.sign * middle), excess * log(max(worth, 1.0))
    return sqrt(distance * (distance + 2 * farther)) - distance
