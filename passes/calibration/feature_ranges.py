"""The quantization range of every feature: of each element of a value, or each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array

from .grid import are_whole
from .histogram import Histogram, around_zero
from .snap import snapped
from .tails import Peaks, reach_of

LEVELS = 64  # the fewest that inputs and outputs have by default
_SEARCHED = 64  # features whose ranges are searched; of more, they are the extremes


@dataclass(frozen=True)
class FeatureRanges:
    """Ends of the ranges of all features, shaped to spread over a sample, and what they save.

    ``ratio`` is the width of one range for all features, by that of the narrowest.
    """

    low: Array
    high: Array
    ratio: float

    @property
    def width(self) -> Array:
        """Widths of the ranges; none is zero."""
        return self.high - self.low


def feature_ranges(
    data: Array,
    axes: Sequence[int],
    lowest: float | None = None,
    levels: int = LEVELS,
    percentile: float | None = None,
) -> FeatureRanges:
    """Ranges of all features along these axes of a sample; ``data`` is ``samples x shape``.

    ``lowest`` is the lower bound of a clip in front, if any. A feature of integers that has one of
    the ``levels`` for each gets a whole number of levels an integer. Constant features do not count
    for the ratio. A ``percentile`` cuts the same share of values at each end of a feature.
    """
    frames = len(data)
    rest = [axis for axis in range(data.ndim) if axis - 1 not in axes]
    kept = [axis for axis in range(data.ndim) if axis - 1 in axes]
    shape = [n if axis in axes else 1 for axis, n in enumerate(data.shape[1:])]
    features = int(np.prod(shape, dtype=np.int64))
    if percentile is not None:
        rows = data.transpose(*kept, *rest).reshape(features, -1)
        lowest_of, highest_of = _without_tails(rows, percentile)
        low, high = _extremes(lowest_of, highest_of)
    elif features > _SEARCHED:
        flat = data.transpose(*rest, *kept).reshape(-1, features)
        lowest_of, highest_of = flat.min(axis=0), flat.max(axis=0)
        low, high = _extremes(lowest_of, highest_of)
    else:
        rows = data.transpose(*kept, *rest).reshape(features, -1)
        lowest_of, highest_of = rows.min(axis=1), rows.max(axis=1)
        low, high = _searched(rows, lowest, levels)
        low, high = _reaching(rows.reshape(features, frames, -1), (low, high), lowest, levels)
    varies = highest_of > lowest_of
    whole = around_zero(float(lowest_of.min()), float(highest_of.max()), lowest)
    narrowest = (high - low)[varies].min(initial=np.inf)
    ratio = (whole[1] - whole[0]) / narrowest if varies.any() else 1.0
    high = np.where(high > low, high, low + np.where(low != 0, np.abs(low), 1))
    return FeatureRanges(low.reshape(shape), high.reshape(shape), float(ratio))


def _without_tails(rows: Array, percentile: float) -> tuple[Array, Array]:
    """The ends of what is left of each row; those of all where that is one value."""
    low, high = np.percentile(rows, (100 - percentile, percentile), axis=1)
    ends = np.where(low < high, (low, high), (rows.min(axis=1), rows.max(axis=1)))
    return ends[0], ends[1]


def _extremes(lowest: Array, highest: Array) -> tuple[Array, Array]:
    low, high = (end.astype(np.float64) for end in (lowest, highest))
    return low, np.where(high > low, low + snapped(high - low), low)


def _searched(rows: Array, lowest: float | None, levels: int) -> tuple[Array, Array]:
    found = [_range(row, lowest, levels) for row in rows]
    low, high = np.array(found, np.float64).T
    return low, np.where(high > low, low + snapped(high - low), low)


def _reaching(
    rows: Array, ends: tuple[Array, Array], lowest: float | None, levels: int
) -> tuple[Array, Array]:
    """Ranges that reach for the next values by the same share of their widths; see `tails`.

    ``rows`` are ``features x frames x ..``. Features of integers stay as they are.
    """
    low, high = (end.copy() for end in ends)
    real = [bool(a > b) and not are_whole(row) for row, a, b in zip(rows, high, low, strict=True)]
    if not any(real):
        return low, high
    low_of, width = low[real], (high - low)[real]
    unit = (rows[real] - low_of[:, None, None]) / width[:, None, None]
    tops, bottoms = Peaks(1), Peaks(-1)
    for peaks in (tops, bottoms):
        peaks.add(unit.transpose(1, 0, 2))
    middle = 0.5 if lowest is None else 0.0
    if reach := reach_of(tops, bottoms, middle, 1.0, levels):
        beyond = low_of + snapped(width * max(1.0, 1 + reach))
        high[real] = np.where(tops.first < 1 + reach, beyond, high[real])
    if lowest is None and (reach := reach_of(bottoms, tops, middle, 1.0, levels)):
        low[real] = np.where(bottoms.first < reach, low_of - snapped(width * reach), low_of)
    return low, high


def _range(row: Array, lowest: float | None, levels: int) -> tuple[float, float]:
    low, high = float(row.min()), float(row.max())
    if 0 < high - low < levels and are_whole(row):
        return low, low + (levels - 1) / ((levels - 1) // (high - low))
    histogram = Histogram()
    histogram.add(row)
    return histogram.least_squares(levels, lowest, reaches=False)
