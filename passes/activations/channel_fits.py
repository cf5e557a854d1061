"""A function of channels of unlike scale: segments of each channel that its own weights can hold.

One level of an input moves a channel of large weights further than one of small weights. Narrow
segments would be pointless in the first, wide ones lose the function in the second. So every
channel has knots of its own, and its segments are scaled to one width: they share populations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from qcompiler.ir import Operand, Range
from qcompiler.ir.kernels import Array

from .clip_sums import ClipSumBuilder, Term
from .piecewise import PiecewiseLinear
from .segments import fit

_UNLIKE = 2.0  # ratio of widths from which channels have knots of their own
_CLASSES = 4  # of widths and of bounds, in a factor of two: channels of one share their knots
_LOOSER = 1.25  # factor of the error for fewer segments
_LEAST = 2.0**-20  # width of a segment, by the widest


def are_unlike(widths: Array) -> bool:
    """Whether the least widths of channels' segments differ so that each needs its own."""
    return len(widths) > 1 and bool(widths.max() > _UNLIKE * widths.min())


def channel_fits(
    formula: str, domain: Range, bounds: Array, widths: Array, most: int
) -> tuple[PiecewiseLinear, ...]:
    """Fit at most ``most`` segments to each channel, of at least its width, within its bound.

    ``bounds`` spreads over ``widths``.
    """
    least = np.maximum(widths, _LEAST * widths.max())
    classes = np.exp2(np.ceil(_CLASSES * np.log2(least)) / _CLASSES)
    errors = np.exp2(np.floor(_CLASSES * np.log2(bounds)) / _CLASSES)
    pairs = np.broadcast(classes, errors)
    return tuple(_few(formula, domain, float(error), float(w), most) for w, error in pairs)


def _few(
    formula: str, domain: Range, bound: float, narrowest: float, most: int
) -> PiecewiseLinear:
    found = fit(formula, domain, bound, narrowest)
    while clips_of(found) > most:
        bound = _LOOSER * max(bound, found.error)
        found = fit(formula, domain, bound, narrowest)
    return found


def clips_of(*fits: PiecewiseLinear) -> int:
    """The most segments, other than flat ones, of these fits."""
    return max(int(np.count_nonzero(one.slopes)) for one in fits)


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
            at = [*np.flatnonzero(one.slopes)][index : index + 1]
            begin, end = one.knots[[at[0], at[0] + 1]] if at else one.knots[[0, -1]]
            rise = float(one.slopes[at[0]] * (end - begin)) if at else 0.0
            rows.append((begin, end - begin, rise))
        begins, widths, rises = (_spread(column, rank) for column in zip(*rows, strict=True))
        yield begins, widths, rises


def _spread(numbers: Sequence[float], rank: int) -> Array:
    return np.reshape(np.asarray(numbers, np.float64), (-1, *(1,) * (rank - 1)))
