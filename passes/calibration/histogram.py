"""Histograms with a growing range, and the quantization ranges derived from them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import DataError, Range
from qcompiler.ir.kernels import Array

from .snap import clearly_less

_BINS = 4096
_STEPS = 80
_TINY = 1e-30  # smaller values count as 0


class Histogram:
    """Counts of values in ``-reach .. reach``; reach doubles when values exceed it."""

    def __init__(self) -> None:
        self.counts = np.zeros(_BINS)
        self.reach = 0.0
        self.low = np.inf
        self.high = -np.inf

    def add(self, values: Array) -> None:
        """Count a batch of finite values; DataError if one exceeds 1e30 in magnitude."""
        flat = values.reshape(-1)
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        largest = max(abs(self.low), abs(self.high))
        if largest > 1 / _TINY:
            raise DataError(
                f"calibration values reach {largest:g}: the largest supported magnitude is 1e30"
            )
        self._grow(largest if largest > _TINY else 0.0)
        if self.reach:
            bins = ((flat + np.float32(self.reach)) * np.float32(_BINS / 2 / self.reach)).astype(
                int
            )
            self.counts += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)

    def _grow(self, needed: float) -> None:
        if needed and not self.reach:
            self.reach = needed
        while self.reach < needed:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(_BINS)
            self.counts[_BINS // 4 : _BINS // 4 * 3] = merged
            self.reach *= 2

    @property
    def _centres(self) -> Array:
        return (np.arange(_BINS) + 0.5) * (2 * self.reach / _BINS) - self.reach

    def percentile(self, percent: float) -> Range:
        """Range that cuts the same share of values at each end."""
        total = np.cumsum(self.counts)
        tail = (1 - percent / 100) * total[-1]
        low = self._centres[np.searchsorted(total, tail, side="right").clip(0, _BINS - 1)]
        high = self._centres[np.searchsorted(total, total[-1] - tail).clip(0, _BINS - 1)]
        return (max(float(low), self.low), min(float(high), self.high))

    def least_squares(self, levels: int, low: float | None = None) -> Range:
        """Range whose rounding to this many levels has the least squared error.

        ``low`` fixes the lower end. Both ends shrink towards zero from the observed range, never
        past it.
        """
        kept = self.counts > 0
        x, n = self._centres[kept].clip(self.low, self.high), self.counts[kept]
        shares = np.linspace(1, 1 / _STEPS, _STEPS)
        lows = [low] if low is not None else list(min(self.low, 0) * shares[:: _STEPS // 16])
        best, least = (self.low, self.high), np.inf
        for bottom in dict.fromkeys(lows):
            for top in max(self.high, 0) * shares:
                if top <= bottom:
                    continue
                step = (top - bottom) / (levels - 1)
                error = float(n @ (x - _rounded(x, bottom, top, step)) ** 2)
                if clearly_less(error, least):
                    best, least = (float(bottom), float(top)), error
        return best


def _rounded(x: Array, bottom: float, top: float, step: float) -> Array:
    zero = np.rint(-bottom / step)
    levels = np.rint(x / step + zero).clip(0, np.rint((top - bottom) / step))
    result: Array = (levels - zero) * step
    return result
