"""Squared errors of rounding counted values to the levels of a range."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_AT_ONCE = 1 << 15  # levels of ranges that are tried together: they stay in the cache


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
        count, first, second = np.diff(self.running[:, ends], axis=-1)
        level = (np.arange(levels) - zero) * step - self.origin
        found: Array = (second - 2 * level * first + level * level * count).sum(axis=1)
        return found

    def _by_value(self, ranges: Array, levels: int) -> Array:
        step, zero = _steps(ranges, levels)
        level = np.rint(self.values / step + zero).clip(0, levels - 1)
        found: Array = (self.counts * ((level - zero) * step - self.values) ** 2).sum(axis=1)
        return found


def _steps(ranges: Array, levels: int) -> tuple[Array, Array]:
    """The distance of levels and the level of zero in each range, as columns."""
    bottom, top = ranges[:, :1], ranges[:, 1:]
    step = (top - bottom) / (levels - 1)
    return step, np.rint(-bottom / step)
