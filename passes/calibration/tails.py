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

from collections.abc import Callable
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.kernels import Array

from .grid import are_whole
from .snap import clearly_less

_GATHERED = 1e-3  # of the range: a smaller excess is that of values that gather at their end
_COARSE = 1 / 16  # of a range, as a search for its ends: what they cut more is on purpose
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


class Tail(NamedTuple):
    """Where the next value of each channel may lie: the largest so far, and by what it exceeds it.

    ``distance`` is that of the largest of all from the middle of the values.
    """

    first: Array
    excess: float
    each: int
    distance: float

    @staticmethod
    def of(peaks: Peaks, lowest: Peaks, middle: float, width: float) -> Tail | None:
        """That of peaks; ``lowest`` are those of the negative values. None if there is no tail.

        Integers are not a sample of something continuous.
        """
        excesses = peaks.excess(middle)
        varies = (peaks.first > -lowest.first) | (excesses > 0)
        if not varies.any() or (peaks.are_whole and lowest.are_whole):
            return None
        first, excess = peaks.first[varies], float(excesses[varies].mean())
        distance = abs(float(peaks.first.max()) - peaks.sign * middle)
        return Tail(first, excess, peaks.each, distance) if excess > _GATHERED * width else None

    def reach(self, width: float, levels: int) -> float:
        """How far a range of this width should reach above the largest of all values."""
        share = float(np.exp((self.first - self.first.max()) / self.excess).mean())
        worth = 12 * levels**2 * self.excess * share / ((self.each + 1) * width)
        farther = self.excess * log(max(worth, 1.0))
        return sqrt(self.distance * (self.distance + 2 * farther)) - self.distance

    def missed(self, end: float) -> float:
        """The mean squared error of cutting values at an end that those seen do not show.

        It is that of the next value by the number of values. The farther an end lies below the
        largest, the more of those seen are cut there, and show it themselves.
        """
        far: Array = np.abs(end - self.first)
        if self.distance:
            far = far + far**2 / (2 * self.distance)
        return 2 * self.excess**2 * float(np.exp(-far / self.excess).mean()) / (self.each + 1)


def reaching(
    bounds: Range,
    peaks: tuple[Peaks, Peaks],
    levels: int,
    low: float | None,
    high: float | None,
    middle: float,
    error: Callable[[Range], float],
) -> Range:
    """A range that reaches for the next value, within the bounds of a clip.

    ``peaks`` are the highest and the lowest values, ``middle`` is that of all. A range that cuts
    values reaches if its ``error``, the mean square, and that of the next value are less then.
    """
    tops, bottoms = peaks
    bottom, top = bounds
    width = top - bottom
    lowest, highest = Tail.of(bottoms, tops, middle, width), Tail.of(tops, bottoms, middle, width)
    if lowest and low is None:
        bottom = -_reached(-bottom, lowest, width, levels, lambda end: error((-end, top)))
    if highest:
        top = _reached(top, highest, width, levels, lambda end: error((bottom, end)))
    return bottom, top if high is None else max(min(top, high), bounds[1])


def _reached(
    end: float, tail: Tail, width: float, levels: int, error: Callable[[float], float]
) -> float:
    """An upper end, or one that reaches for the next value."""
    seen = float(tail.first.max())
    farther = max(end, seen + tail.reach(width, levels))
    if seen - end <= _COARSE * width:
        return farther
    now, then = (error(one) + tail.missed(one) for one in (end, farther))
    return farther if clearly_less(then, now) else end


def reach_of(peaks: Peaks, lowest: Peaks, middle: float, width: float, levels: int) -> float:
    """How far a range of this width should reach above the largest of all values; 0 if not."""
    tail = Tail.of(peaks, lowest, middle, width)
    return tail.reach(width, levels) if tail else 0.0
