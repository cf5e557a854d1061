"""Histograms with a growing range, and the quantization ranges derived from them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import DataError, Range
from qcompiler.ir.kernels import Array

from .rounding_errors import RoundingErrors
from .snap import first_least, lies_far, snapped
from .tails import beyond

_BINS = 4096
_STEPS = 80
_WORTH = 0.8  # of the squared error that is left where both ends become levels
_TINY = 1e-30  # smaller values count as 0
_NOWHERE = np.zeros(0)


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
        self.whole = True  # whether all are integers

    def add(self, values: Array) -> None:
        """Count a batch of finite values; DataError if one exceeds 1e30 in magnitude."""
        flat = values.reshape(-1)
        first = not np.isfinite(self.low)
        self.whole = self.whole and bool((flat == np.rint(flat)).all())
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
            bins = (self._distances(flat) * np.float32(_BINS / 2 / self.reach)).astype(int)
            self.counts += np.bincount(np.clip(bins, 0, _BINS - 1), minlength=_BINS)

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
        unseen: bool = False,
    ) -> Range:
        """Range whose rounding to this many levels has the least squared error.

        If ``unseen``, the error of the next value counts, which may lie beyond all. ``low`` and
        ``high`` are the bounds of the clip in front, if any, which the range does not exceed: a
        lower bound that values reach is the lower end. Other ends grow to where the next value may
        lie, or shrink from the observed range: towards zero if it lies inside or near, else towards
        the middle. A range contains zero if that does not more than double it. Without a clip, it
        is wider at one end if many values lie at both, so that both are levels.
        """
        bottom_end, top_end = around_zero(*self._within(low, high), low, high)
        pivot = 0.0 if bottom_end <= 0 <= top_end else (bottom_end + top_end) / 2
        shares = np.linspace(1, 1 / _STEPS, _STEPS)
        below, above = self._next(levels) if unseen else (_NOWHERE, _NOWHERE)
        below = below if low is None and self.low == bottom_end else _NOWHERE
        above = above if high is None and self.high == top_end else _NOWHERE
        lows = [*(pivot + (bottom_end - pivot) * shares[:: _STEPS // 16]).tolist(), *below.tolist()]
        if low is not None and self.low <= low:
            lows = [low]
        tops = np.concatenate([pivot + (top_end - pivot) * shares, above])
        pairs = np.array([(bottom, top) for bottom in dict.fromkeys(lows) for top in tops])
        pairs = pairs[pairs[:, 1] > pairs[:, 0]]
        measured = self._errors(below, above)
        errors = measured.of(pairs, levels)
        chosen = first_least(errors)
        if chosen is None:
            return self._within(low, high)
        best, least = (float(pairs[chosen, 0]), float(pairs[chosen, 1])), errors[chosen]
        if low is None and high is None and self.low < 0 < self.high:
            wider = _with_ends_as_levels(self.low, self.high, levels)
            if float(measured.of(np.array([wider]), levels)[0]) < _WORTH * least:
                return wider
        return best

    def extended(self, levels: int) -> Range:
        """The observed range, or a wider one of less error where the next value counts."""
        if self.low == self.high:
            return self.low, self.high
        below, above = self._next(levels)
        pairs = np.array([(a, b) for a in (self.low, *below) for b in (self.high, *above)])
        low, high = pairs[first_least(self._errors(below, above).of(pairs, levels)) or 0].tolist()
        return low, high

    def _next(self, levels: int) -> tuple[Array, Array]:
        """Where the next value lies, if below or above all; nowhere if all have a level each."""
        if self.whole and self.high - self.low < levels:
            return _NOWHERE, _NOWHERE
        values, counts = self._values()
        return -beyond(-values[::-1], counts[::-1]), beyond(values, counts)

    def _values(self) -> tuple[Array, Array]:
        """What was seen, in ascending order, and how often."""
        kept = self.counts > 0
        return self._centres[kept].clip(self.low, self.high), self.counts[kept]

    def _errors(self, below: Array, above: Array) -> RoundingErrors:
        values, counts = self._values()
        rare = [np.full(len(some), 1 / max(1, len(some))) for some in (below, above)]
        return RoundingErrors(
            np.concatenate([below[::-1], values, above]),
            np.concatenate([rare[0], counts, rare[1]]),
            self.origin,
        )


def around_zero(
    low: float, high: float, lowest: float | None = None, highest: float | None = None
) -> Range:
    """A range with zero in it, unless it lies far, or beyond the bounds of a clip."""
    if lies_far(low, high):
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
