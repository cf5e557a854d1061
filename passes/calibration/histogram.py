"""Histograms with a growing range, and the quantization ranges derived from them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import DataError, Range
from qcompiler.ir.kernels import Array

from .snap import first_least, lies_far, snapped

_BINS = 4096
_STEPS = 80
_WORTH = 0.8  # of the squared error that is left where both ends become levels
_TINY = 1e-30  # smaller values count as 0
_PIECE = 1 << 16  # values that are counted together: they stay in the cache
_FIRST = 16  # ranges that are tried first
_LOST = 1e-9  # of the sum of all squares: more than sums lose in double precision
_BEYOND_DOUBT = 1 + 1e-6  # times an error: more than sums in another order
_AT_ONCE = 1 << 15  # levels of ranges that are tried together: they stay in the cache


class Histogram:
    """Counts of values in ``origin - reach .. origin + reach``; reach doubles when one exceeds it.

    The origin is 0, unless the first values lie farther from it than they spread.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(_BINS)
        self.origin = 0.0
        self.reach = 0.0
        self.low = np.inf
        self.high = -np.inf

    def add(self, values: Array) -> None:
        """Count a batch of finite values; DataError if one exceeds 1e30 in magnitude."""
        flat = values.reshape(-1)
        first = not np.isfinite(self.low)
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        largest = max(abs(self.low), abs(self.high))
        if largest > 1 / _TINY:
            raise DataError(
                f"calibration values reach {largest:g}: the largest supported magnitude is 1e30"
            )
        if first and lies_far(self.low, self.high):
            self.origin = float(snapped(np.array((self.low + self.high) / 2)))
        needed = max(abs(self.low - self.origin), abs(self.high - self.origin))
        self._grow(needed if needed > _TINY else 0.0)
        if self.reach:
            for begin in range(0, flat.size, _PIECE):
                self._count(flat[begin : begin + _PIECE])

    def _count(self, flat: Array) -> None:
        places = self._distances(flat) * np.float32(_BINS / 2 / self.reach)
        bins = np.clip(places, 0, _BINS - 1, out=places).astype(np.intp)
        self.counts += np.bincount(bins, minlength=_BINS)

    def _distances(self, flat: Array) -> Array:
        """How far values lie above the lowest bin."""
        if not self.origin:
            return flat + np.float32(self.reach)
        return flat.astype(np.float64) - (self.origin - self.reach)

    def _grow(self, needed: float) -> None:
        if needed and not self.reach:
            self.reach = needed
        while self.reach < needed:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(_BINS)
            self.counts[_BINS // 4 : _BINS // 4 * 3] = merged
            self.reach *= 2

    def _within(self, low: float | None, high: float | None) -> Range:
        """The observed range within bounds that not all channels have."""
        ends = (end if low is None else max(end, low) for end in (self.low, self.high))
        bottom, top = (end if high is None else min(end, high) for end in ends)
        return bottom, top

    @property
    def _centres(self) -> Array:
        return (np.arange(_BINS) + 0.5) * (2 * self.reach / _BINS) - self.reach + self.origin

    def percentile(self, percent: float) -> Range:
        """Range that cuts the same share of values at each end."""
        total = np.cumsum(self.counts)
        tail = (1 - percent / 100) * total[-1]
        low = self._centres[np.searchsorted(total, tail, side="right").clip(0, _BINS - 1)]
        high = self._centres[np.searchsorted(total, total[-1] - tail).clip(0, _BINS - 1)]
        return (max(float(low), self.low), min(float(high), self.high))

    def least_squares(
        self,
        levels: int,
        low: float | None = None,
        high: float | None = None,
        widened: float = 1.0,
    ) -> Range:
        """Range whose rounding to this many levels has the least squared error.

        ``low`` and ``high`` are the bounds of the clip in front, if any, which the range does not
        exceed: a lower bound that values reach is the lower end. Other ends shrink from the
        observed range, never past it: towards zero if it lies inside or near, else towards the
        middle. A range contains zero unless it is ``widened`` by a larger share of its width.
        Without a clip, it is wider at one end if many values lie at both, so that both are levels.
        """
        bottom_end, top_end = around_zero(*self._within(low, high), low, high, widened)
        pivot = 0.0 if bottom_end <= 0 <= top_end else (bottom_end + top_end) / 2
        shares = np.linspace(1, 1 / _STEPS, _STEPS)
        lows = (pivot + (bottom_end - pivot) * shares[:: _STEPS // 16]).tolist()
        if low is not None and self.low <= low:
            lows = [low]
        tops = pivot + (top_end - pivot) * shares
        pairs = np.array([(bottom, top) for bottom in dict.fromkeys(lows) for top in tops])
        pairs = pairs[pairs[:, 1] > pairs[:, 0]]
        measured = self._errors()
        errors = measured.least(pairs, levels)
        chosen = first_least(errors)
        if chosen is None:
            return self._within(low, high)
        best, least = (float(pairs[chosen, 0]), float(pairs[chosen, 1])), errors[chosen]
        if low is None and high is None and self.low < 0 < self.high:
            wider = _with_ends_as_levels(self.low, self.high, levels)
            if float(measured.of(np.array([wider]), levels)[0]) < _WORTH * least:
                return wider
        return best

    def counted(self) -> tuple[Array, Array]:
        """The values that were seen, in ascending order, and how often."""
        kept = self.counts > 0
        return self._centres[kept].clip(self.low, self.high), self.counts[kept]

    def _errors(self) -> _Errors:
        return _Errors(*self.counted(), self.origin)


class _Errors:
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
        count, first, second = (np.subtract(r[:, 1:], r[:, :-1]) for r in self.running[:, ends])
        level = (np.arange(levels) - zero) * step - self.origin
        found: Array = (second - 2 * level * first + level * level * count).sum(axis=1)
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


def around_zero(
    low: float,
    high: float,
    lowest: float | None = None,
    highest: float | None = None,
    widened: float = 1.0,
) -> Range:
    """A range with zero in it, unless that widens it by more, or lies beyond the bounds of a clip.

    What it is ``widened`` by is a share of its width.
    """
    if lies_far(low, high, widened):
        return low, high
    reaches_down = lowest is None or lowest <= 0
    reaches_up = highest is None or highest >= 0
    return (min(low, 0.0) if reaches_down else low, max(high, 0.0) if reaches_up else high)


def _with_ends_as_levels(low: float, high: float, levels: int) -> Range:
    """The range in which zero is a level, the lower end is one, and so is nearly the upper."""
    top = levels - 1
    zero = min(max(1, int(-low / (high - low) * top)), top - 1) if top > 1 else 1
    step = max(-low / zero, high / (top - zero) if top > zero else 0.0)
    return -zero * step, (top - zero) * step
