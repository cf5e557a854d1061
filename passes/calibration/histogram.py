"""Histograms with a growing range, and the quantization ranges derived from them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import DataError, Diagnostic, Graph, Range
from qcompiler.ir.kernels import Array

from .rounding_errors import RoundingErrors
from .snap import first_least, lies_far, snapped
from .tails import Peaks, reaching

_BINS = 4096
_STEPS = 80
_WORTH = 0.8  # of the squared error that is left where both ends become levels
_TINY = 1e-30  # smaller values count as 0
_PIECE = 1 << 16  # values that are counted together: they stay in the cache
_SMALLER = "use smaller constants in the model, such as -20 in an additive mask, or clip the values"


class Histogram:
    """Counts of values in ``origin - reach .. origin + reach``; reach doubles when one exceeds it.

    The origin is 0, unless the first values lie farther from it than they spread. Where values have
    ``weights``, their squared errors count so many times.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(_BINS)
        self.weights: Array | None = None
        self.origin = 0.0
        self.reach = 0.0
        self.low = np.inf
        self.high = -np.inf
        self.tops, self.bottoms = Peaks(1), Peaks(-1)

    def add(self, values: Array, weights: Array | None = None) -> None:
        """Count finite values, ``frames x ..``; DataError if one exceeds 1e30 in magnitude."""
        flat = values.reshape(-1)
        if weights is not None and self.weights is None:
            self.weights = np.zeros(_BINS)
        first = not np.isfinite(self.low)
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        largest = max(abs(self.low), abs(self.high))
        if largest > 1 / _TINY:
            raise DataError(
                f"calibration values reach {largest:g}: the largest supported magnitude is 1e30"
            )
        if first and lies_far(self.low, self.high):
            self.origin = float(snapped(np.array((self.low + self.high) / 2)))
        self.tops.add(values)
        self.bottoms.add(values)
        needed = max(abs(self.low - self.origin), abs(self.high - self.origin))
        self._grow(needed if needed > _TINY else 0.0)
        if self.reach:
            for begin in range(0, flat.size, _PIECE):
                part = slice(begin, begin + _PIECE)
                self._count(flat[part], None if weights is None else weights.reshape(-1)[part])

    def add_of(self, graph: Graph, name: str, values: Array, weights: Array | None = None) -> None:
        """Count values of a graph; a DataError names their node."""
        try:
            self.add(values, weights)
        except DataError as error:
            origin = next((node.origin for node in graph.nodes if node.result.name == name), ())
            text = f"%{name}: {error.diagnostics[0].message}"
            raise DataError(Diagnostic(text, origin, _SMALLER)) from error

    def _count(self, flat: Array, weights: Array | None) -> None:
        scaled = self._distances(flat) * np.float32(_BINS / 2 / self.reach)
        places = np.minimum(scaled, scaled.dtype.type(_BINS - 1), out=scaled).astype(np.int32)
        self.counts += np.bincount(places, minlength=_BINS)
        if weights is not None and self.weights is not None:
            self.weights += np.bincount(places, weights, minlength=_BINS)

    def _distances(self, flat: Array) -> Array:
        """How far values lie above the lowest bin."""
        if not self.origin:
            return flat + np.float32(self.reach)
        return flat.astype(np.float64) - (self.origin - self.reach)

    def _grow(self, needed: float) -> None:
        if needed and not self.reach:
            self.reach = needed
        while self.reach < needed:
            self.counts = _widened(self.counts)
            self.weights = None if self.weights is None else _widened(self.weights)
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
        bottom, top = max(float(low), self.low), min(float(high), self.high)
        return (bottom, top) if bottom < top else (self.low, self.high)

    def least_squares(
        self,
        levels: int,
        low: float | None = None,
        high: float | None = None,
        widened: float = 1.0,
        reaches: bool = True,
    ) -> Range:
        """Range whose rounding to this many levels has the least squared error.

        ``low`` and ``high`` are the bounds of the clip in front, if any, which the range does not
        exceed: a lower bound that values reach is the lower end. Other ends shrink from the
        observed range, towards zero if it lies inside or near, else towards the middle; where few
        values were seen for so many levels, they reach for the next. A range contains zero unless
        it is ``widened`` by a larger share of its width. Without a clip, it is wider at one end if
        many values lie at both, so that both are levels.
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
        if reaches:
            peaks, all_of = (self.tops, self.bottoms), measured.running[0, -1]
            best = reaching(
                best,
                peaks,
                levels,
                low,
                high,
                pivot,
                lambda ends: float(measured.of(np.array([ends]), levels)[0] / all_of),
            )
        if low is None and high is None and self.low < 0 < self.high:
            wider = _with_ends_as_levels(self.low, self.high, levels)
            if float(measured.of(np.array([wider]), levels)[0]) < _WORTH * least:
                return wider
        return best

    def _where(self, counts: Array) -> tuple[Array, Array]:
        kept = counts > 0
        return self._centres[kept].clip(self.low, self.high), counts[kept]

    def _errors(self) -> RoundingErrors:
        counts = self.counts if self.weights is None or not self.weights.any() else self.weights
        return RoundingErrors(*self._where(counts), self.origin)


def _widened(counts: Array) -> Array:
    found = np.zeros(_BINS)
    found[_BINS // 4 : _BINS // 4 * 3] = counts.reshape(-1, 2).sum(axis=1)
    return found


def check_method(method: str, percentile: float) -> None:
    """Raise ValueError unless ranges can be measured by this method, at this percentile."""
    if method not in ("mse", "percentile"):
        raise ValueError(f"method must be mse or percentile, not {method}")
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile must be above 50 and at most 100, not {percentile:g}")


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
