"""Samples of every channel, and the quantization range of each."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

from .snap import clearly_less, snapped

_KEPT, _MORE = 1 << 12, 8  # values of a channel; times as many where its peaks are rare
_BINS = 4096  # in which the values of a channel are counted, if more than `_KEPT` are looked at
_TINY = 1e-30  # smaller values count as 0
_AT_ONCE = 1 << 16  # numbers that stay in the cache
_SHARES = np.linspace(1, 0.025, 40)


class ChannelSample:
    """A random sample of every channel, spread evenly over images and positions.

    ``rare`` says that most values are zero, as behind a ReLU: then it takes more of them to see how
    high the others are.
    """

    def __init__(self, images: int, rare: bool = False) -> None:
        self.rare = rare
        self.each = max(1, _KEPT * (_MORE if rare else 1) // images)
        self._batches = 0
        self._few: list[Array] = []  # values, channels x .., that are not counted yet
        self._size = 0  # of each channel there
        self._counts: _Counts | None = None
        self._low: Array | float = np.inf
        self._high: Array | float = -np.inf

    def add(self, batch: Array) -> None:
        """Add a sample of a batch, ``images x channels x ..``."""
        flat = batch.reshape(*batch.shape[:2], -1)
        count = min(self.each, flat.shape[2])
        if not self.rare or count < flat.shape[2]:  # no rare value is left out of few
            places = np.random.default_rng(self._batches).integers(
                0, flat.shape[2], (len(flat), count)
            )
            flat = np.take_along_axis(flat, places[:, None, :], axis=2)
        self._batches += 1
        picked = flat.transpose(1, 0, 2).reshape(flat.shape[1], -1)
        self._low = np.minimum(self._low, picked.min(axis=1))
        self._high = np.maximum(self._high, picked.max(axis=1))
        self._few.append(picked)
        self._size += picked.shape[1]
        if self._size > _KEPT:
            self._counts = self._counts or _Counts(len(picked))
            self._counts.add(np.concatenate(self._few, axis=1))
            self._few, self._size = [], 0

    def ends(self) -> tuple[Array, Array]:
        """The lowest and the highest value of each channel."""
        return np.asarray(self._low, np.float64), np.asarray(self._high, np.float64)

    def tops(self, levels: int) -> Array:
        """Upper end of each channel's range with the least squared error of rounding to levels."""
        highest = self.ends()[1].clip(0)
        few = np.concatenate(self._few, axis=1) if self._few else np.zeros((len(highest), 0))
        each = max(_BINS, len(_SHARES) * levels) if self._counts else few.shape[1]
        some = max(1, _AT_ONCE // each)
        found = np.zeros(len(highest))
        for begin in range(0, len(highest), some):
            at = slice(begin, begin + some)
            if self._counts is None:
                found[at] = _tops(few[at], highest[at], levels)
                continue
            counts = self._counts.of(at)
            counts.add(few[at])
            found[at] = counts.tops(highest[at], levels)
        return snapped(found)


def _tops(values: Array, highest: Array, levels: int) -> Array:
    """See `ChannelSample.tops`; ``values`` are those of some channels."""
    best, least = np.zeros(len(highest)), np.full(len(highest), np.inf)
    values, rounded = values.clip(0), np.empty(values.shape)
    for share in _SHARES:
        step = np.maximum(highest * share, _TINY)[:, None] / (levels - 1)
        np.rint(np.divide(values, step, out=rounded), out=rounded)
        np.multiply(np.clip(rounded, 0, levels - 1, out=rounded), step, out=rounded)
        np.subtract(rounded, values, out=rounded)
        error = np.square(rounded, out=rounded).sum(axis=1)
        better = clearly_less(error, least)
        best, least = np.where(better, highest * share, best), np.where(better, error, least)
    return best


class _Counts:
    """Counts of the values of channels in bins from 0 to a power of two, the ``reach`` of each.

    Values below 0 count as 0: they round to level 0 in every range.
    """

    def __init__(self, channels: int) -> None:
        self.counts = np.zeros((channels, _BINS), np.int32)
        self.reach = np.zeros(channels)

    def of(self, channels: slice) -> _Counts:
        """A copy of some channels."""
        found = _Counts(0)
        found.counts, found.reach = self.counts[channels].copy(), self.reach[channels].copy()
        return found

    def add(self, values: Array) -> None:
        """Count values, ``channels x ..``."""
        if not values.shape[1]:
            return
        self._grow(values.max(axis=1).clip(0))
        some = max(1, _AT_ONCE // values.shape[1])
        for begin in range(0, len(values), some):
            part, at = values[begin : begin + some], slice(begin, begin + some)
            fine = (_BINS / np.where(self.reach[at] > 0, self.reach[at], 1)).astype(part.dtype)
            bins = (part.clip(0) * fine[:, None]).clip(0, _BINS - 1).astype(np.intp)
            bins += np.arange(0, len(part) * _BINS, _BINS)[:, None]
            counted = np.bincount(bins.ravel(), minlength=len(part) * _BINS)
            self.counts[at] += counted.reshape(len(part), _BINS).astype(np.int32)

    def _grow(self, highest: Array) -> None:
        """Let all channels reach beyond their highest values; bins that meet are added up."""
        _, exponent = np.frexp(highest.astype(np.float64))
        needed = np.where(highest > _TINY, np.ldexp(1.0, exponent), 0)
        fresh = self.reach == 0
        self.reach[fresh] = needed[fresh]
        while (short := self.reach < needed).any():
            pairs = self.counts[short].reshape(-1, _BINS // 2, 2).sum(axis=2)
            self.counts[short] = np.pad(pairs, ((0, 0), (0, _BINS // 2)))
            self.reach[short] *= 2

    def tops(self, highest: Array, levels: int) -> Array:
        """See `ChannelSample.tops`; in each bin all values lie at its middle."""
        unit = np.where(self.reach > 0, self.reach, 1) / _BINS
        ends = (highest / unit)[:, None] * _SHARES
        errors = self._errors(ends, levels)
        best, least = np.zeros(len(highest)), np.full(len(highest), np.inf)
        for end, error in zip(ends.T, errors.T, strict=True):
            better = clearly_less(error, least)
            best, least = np.where(better, end, best), np.where(better, error, least)
        found: Array = best * unit
        return found

    def _errors(self, ends: Array, levels: int) -> Array:
        """Squared errors of rounding to levels from 0 to each end, in bins, ``channels x ends``.

        The bins that round to a level lie side by side: running sums give the error.
        """
        middle = np.arange(_BINS) + 0.5
        running = np.zeros((3, len(ends), 1, _BINS + 1))
        for power, sums in enumerate(running):
            np.cumsum(self.counts * middle**power, axis=1, out=sums[:, 0, 1:])
        step = ends[..., None] / (levels - 1)
        bounds = np.full((*ends.shape, levels + 1), _BINS)
        bounds[..., 0] = 0
        bounds[..., 1:-1] = np.ceil((np.arange(levels - 1) + 0.5) * step - 0.5).clip(0, _BINS)
        count, first, second = np.diff(np.take_along_axis(running, bounds[None], axis=3), axis=3)
        level = np.arange(levels) * step
        found: Array = (second - 2 * level * first + level * level * count).sum(axis=2)
        return found
