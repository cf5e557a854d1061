"""A function of channels of unlike scale: segments of each channel that its own weights can hold.

One level of an input moves a channel of large weights further than one of small weights. Narrow
segments would be pointless in the first, wide ones lose the function in the second. So every
channel has knots of its own, and its segments are scaled to one width: they share populations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Operand, Range
from qcompiler.ir.ann.formula import values
from qcompiler.ir.kernels import Array

from .clip_sums import ClipSumBuilder, Term
from .piecewise import SAMPLES, PiecewiseLinear
from .segments import KEPT, fit

_UNLIKE = 2.0  # ratio from which channels have knots of their own
_CLASSES = 4  # of widths and gains, in a factor of two: channels of one share their knots
ROUNDED = 2 ** (1 / _CLASSES)
_LOOSER = 1.25  # factor of the error for fewer segments
_LEAST = 2.0**-20  # width of a segment, by the widest
_SAME = 1 + 1e-6  # times an error that is the same
_FAINT = 2.0**-12  # share of a range by which a function moves where it is flat
_ZOOMS = 3  # each by up to the number of samples


class Channels(NamedTuple):
    """What differs between the channels of a function, one number for each or for all.

    ``widths`` are those of the narrowest segments that weights can hold, ``gains`` multiply
    results, to which ``shifts`` are added; ``range`` is that of all channels.
    """

    widths: Array
    gains: Array
    range: Range
    shifts: Array = np.zeros(1)

    def misfit(self, found: PiecewiseLinear, bound: float) -> bool:
        """Whether a fit is none for some channels: too coarse, or steeper than their weights."""
        if found.jumps:
            return False
        unlike = self.widths.max() > _UNLIKE * self.widths.min()
        room = _UNLIKE * bound / self.gains.max()
        few = found.error > bound / self._power * _SAME
        rises = np.abs(found.slopes * np.diff(found.knots))
        high = rises.max() * self.gains.max() > _UNLIKE * (self.range[1] - self.range[0])
        return bool((unlike and few) or (len(self.gains) > 1 and (high or found.error > room)))

    @property
    def _power(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.gains))))

    def fits(
        self, formula: str, domain: Range, bound: float, most: int
    ) -> tuple[PiecewiseLinear, ...]:
        """Fit at most ``most`` segments to each channel, over what its range needs of the domain.

        The error of a result, with its gain, stays within the bound, times up to `ROUNDED`, if
        segments can be so narrow.
        """
        least = np.maximum(self.widths, _LEAST * (self.widths.max() or 1.0))
        widths = np.exp2(np.ceil(_CLASSES * np.log2(least)) / _CLASSES)
        gains = np.exp2(np.floor(_CLASSES * np.log2(self.gains)) / _CLASSES)
        exact = self.gains if self.shifts.any() else gains
        rows = np.broadcast(widths, gains, exact, self.shifts)
        return tuple(
            _few(formula, _needed(formula, domain, *self._bounds(*own)), bound / gain, width, most)
            for width, gain, *own in (map(float, row) for row in rows)
        )

    def _bounds(self, gain: float, shift: float) -> Range:
        """The range of one channel without gain and shift, or a little more."""
        low, high = ((end - shift) / gain for end in self.range)
        if not shift:
            return low, high
        grid = 2.0 ** np.floor(np.log2(high - low) - _CLASSES)  # like channels share a fit
        return float(np.floor(low / grid) * grid), float(np.ceil(high / grid) * grid)


@lru_cache(maxsize=KEPT)
def _needed(formula: str, domain: Range, lowest: float, highest: float) -> Range:
    """The part of a domain outside of which a function leaves these bounds; else all of it."""
    low, high = domain
    for _ in range(_ZOOMS):
        x = np.linspace(low, high, SAMPLES)
        y = values(formula, x)
        inside = np.flatnonzero((y >= lowest) & (y <= highest))
        if not len(inside):
            break
        low, high = float(x[max(inside[0] - 1, 0)]), float(x[min(inside[-1] + 1, SAMPLES - 1)])
    return low, high


@lru_cache(maxsize=KEPT)
def _with_short_ends(formula: str, domain: Range, narrowest: float) -> Range:
    """A domain at least as wide as a segment; ends where it is flat are not wider than the rest.

    Bends near an end are none: how near is a share of the domain.
    """
    missing = max(0.0, narrowest - (domain[1] - domain[0])) / 2
    low, high = domain = domain[0] - missing, domain[1] + missing
    for _ in range(_ZOOMS):
        x = np.linspace(low, high, SAMPLES)
        y = values(formula, x)
        rises, falls = (np.abs(y - end) > _FAINT * np.ptp(y) for end in (y[0], y[-1]))
        if not rises.any():
            break
        first, last = int(np.argmax(rises)), int(np.argmax(falls[::-1]))
        begin, end = x[max(first - 1, 0)], x[-max(last, 1)]
        room = max(end - begin, narrowest)
        low, high = max(low, float(begin - room)), min(high, float(end + room))
    return low, high


def _few(formula: str, domain: Range, bound: float, narrowest: float, most: int) -> PiecewiseLinear:
    domain = _with_short_ends(formula, domain, narrowest)
    found = fit(formula, domain, bound, narrowest)
    while clips_of(found) > most:
        bound = _LOOSER * max(bound, found.error)
        found = fit(formula, domain, bound, narrowest)
    return found


def clips_of(*fits: PiecewiseLinear) -> int:
    """The most segments, other than flat ones, of these fits."""
    return max(int(np.count_nonzero(one.slopes)) for one in fits)


def worst_of(fits: Sequence[PiecewiseLinear], gains: Array) -> float:
    """The largest error of all channels, with their gains."""
    return float(np.max(np.array([one.error for one in fits]) * gains))


def channel_segments(
    new: ClipSumBuilder, x: Operand, fits: Sequence[PiecewiseLinear]
) -> tuple[list[Term], Array]:
    """A clip for the first segments of all channels, one for the second, and the values before.

    Where a channel has fewer segments, it adds nothing.
    """
    rank = len(x.type.shape)
    terms: list[Term] = []
    for begin, width, rise in _rows(fits, rank):
        inner = new.affine(x, 1 / width, -begin / width)
        terms.append((new.clip([(inner, 1.0)], 0.0, 1.0), rise))
    return terms, _spread([float(one.values[0]) for one in fits], rank)


def _rows(fits: Sequence[PiecewiseLinear], rank: int) -> Iterator[tuple[Array, Array, Array]]:
    """Where a segment of each channel begins, its width, and by how much the function rises."""
    for index in range(clips_of(*fits)):
        rows = []
        for one in fits:
            at = np.flatnonzero(one.slopes)[index : index + 1]
            begin, end = one.knots[[at[0], at[0] + 1]] if len(at) else one.knots[[0, -1]]
            rise = float(one.slopes[at[0]] * (end - begin)) if len(at) else 0.0
            rows.append((begin, end - begin, rise))
        begins, widths, rises = (_spread(column, rank) for column in zip(*rows, strict=True))
        yield begins, widths, rises


def _spread(numbers: Sequence[float], rank: int) -> Array:
    return np.reshape(np.asarray(numbers, np.float64), (-1, *(1,) * (rank - 1)))
