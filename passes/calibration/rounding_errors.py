"""Squared errors of rounding values to the levels of many ranges."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_AT_ONCE = 1 << 15  # levels of ranges that are tried together: they stay in the cache
_FIRST = 16  # ranges that are tried first
_LOST = 1e-9  # of the sum of all squares: more than sums lose in double precision
_BEYOND_DOUBT = 1 + 1e-6  # times an error: more than sums in another order


class RoundingErrors:
    """Squared errors of rounding counted values, which are in ascending order, in many ranges.

    The values that round to a level lie side by side, so that running sums give the error of a
    range in as many steps as there are levels. Values count from the origin there, lest large
    squares cancel. Fewer values than levels are rounded one by one.
    """

    def __init__(self, values: Array, counts: Array, origin: float) -> None:
        self.values, self.counts, self.origin = values, counts, origin
        x = values - origin
        powers = np.stack([counts, counts * x, counts * x * x])
        self.running = np.concatenate([np.zeros((3, 1)), np.cumsum(powers, axis=1)], axis=1)

    def least(self, ranges: Array, levels: int) -> Array:
        """As `of`; infinite where values beyond a range alone have a larger error than an earlier.

        The first that no later one is clearly less than is the same.
        """
        found = np.full(len(ranges), np.inf)
        begin, end, best = 0, _FIRST, np.inf
        beyond = self._beyond(ranges, levels)
        while begin < len(ranges):
            tried = begin + np.flatnonzero(beyond[begin:end] <= best * _BEYOND_DOUBT)
            found[tried] = self.of(ranges[tried], levels)
            best = min(best, found[begin:end].min())
            begin, end = end, 4 * end
        return found

    def _beyond(self, ranges: Array, levels: int) -> Array:
        """Lower bounds of the errors: what values below the lowest and above the highest have."""
        step, zero = _steps(ranges, levels)
        ends = step * (np.array([0, levels - 1]) - zero)
        (below, above), (low, high) = np.searchsorted(self.values, ends).T, (ends - self.origin).T
        under = self.running[:, below]
        over = self.running[:, -1:] - self.running[:, above]
        found: Array = _about(low, under) + _about(high, over) - _LOST * self.running[2, -1]
        return found

    def of(self, ranges: Array, levels: int) -> Array:
        """The errors with this many levels in each of the ranges, (R, 2)."""
        way = self._by_level if levels < len(self.values) else self._by_value
        rows = max(1, _AT_ONCE // max(1, min(levels, len(self.values))))
        parts = [ranges[i : i + rows] for i in range(0, len(ranges), rows)]
        return np.concatenate([way(part, levels) for part in parts] or [np.zeros(0)])

    def _by_level(self, ranges: Array, levels: int) -> Array:
        step, zero = _steps(ranges, levels)
        ends = np.full((len(ranges), levels + 1), len(self.values))
        ends[:, 0] = 0
        middles = (np.arange(levels - 1) + 0.5 - zero) * step
        ends[:, 1:-1] = np.searchsorted(self.values, middles)
        level = (np.arange(levels) - zero) * step - self.origin
        found: Array = _about(level, np.diff(self.running[:, ends], axis=-1)).sum(axis=1)
        return found

    def _by_value(self, ranges: Array, levels: int) -> Array:
        step, zero = _steps(ranges, levels)
        level = np.rint(self.values / step + zero).clip(0, levels - 1)
        found: Array = (self.counts * ((level - zero) * step - self.values) ** 2).sum(axis=1)
        return found


def _about(x: Array, powers: Array) -> Array:
    """Squared distances from ``x`` of values whose counts, sums and squares are given."""
    count, first, second = powers
    found: Array = second - 2 * x * first + x * x * count
    return found


def _steps(ranges: Array, levels: int) -> tuple[Array, Array]:
    """The distance of levels and the level of zero in each range, as columns."""
    bottom, top = ranges[:, :1], ranges[:, 1:]
    step = (top - bottom) / (levels - 1)
    return step, np.rint(-bottom / step)
