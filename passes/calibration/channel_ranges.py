"""Samples of every channel, and the quantization range of each."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

from .snap import clearly_less, snapped

_KEPT, _MORE = 4096, 8  # values of a channel, and times as many with effort 2
_AT_ONCE = 1 << 16  # values of some channels: they stay in the cache
_SHARES = np.linspace(1, 0.025, 40)


class ChannelSample:
    """A random sample of every channel, spread evenly over images and positions.

    Peaks are rare: with ``effort`` 2 the sample is eight times as large.
    """

    def __init__(self, images: int, effort: int = 1) -> None:
        self.each = max(1, _KEPT * (_MORE if effort > 1 else 1) // images)
        self.parts: list[Array] = []

    def add(self, batch: Array) -> None:
        """Add a sample of a batch, ``images x channels x ..``."""
        flat = batch.reshape(*batch.shape[:2], -1)
        places = np.random.default_rng(len(self.parts)).integers(
            0, flat.shape[2], (len(flat), min(self.each, flat.shape[2]))
        )
        picked = np.take_along_axis(flat, places[:, None, :], axis=2)
        self.parts.append(picked.transpose(1, 0, 2).reshape(flat.shape[1], -1))

    def ends(self) -> tuple[Array, Array]:
        """The lowest and the highest value of each channel."""
        values = np.concatenate(self.parts, axis=1).astype(np.float64)
        return values.min(axis=1), values.max(axis=1)

    def tops(self, levels: int) -> Array:
        """Upper end of each channel's range with the least squared error of rounding to levels."""
        values = np.concatenate(self.parts, axis=1).astype(np.float32)
        some = max(1, _AT_ONCE // max(1, values.shape[1]))
        parts = [values[at : at + some] for at in range(0, len(values), some)]
        return np.concatenate([_tops(part, levels) for part in parts])


def _tops(values: Array, levels: int) -> Array:
    """See `ChannelSample.tops`; ``values`` are those of some channels."""
    highest = values.max(axis=1, keepdims=True).clip(0)
    best, least = highest, np.full(highest.shape, np.inf)
    rounded = np.empty_like(values)
    for share in _SHARES:
        step = np.maximum(highest * np.float32(share), np.float32(1e-30)) / (levels - 1)
        np.rint(np.divide(values, step, out=rounded), out=rounded)
        np.multiply(np.clip(rounded, 0, levels - 1, out=rounded), step, out=rounded)
        np.subtract(rounded, values, out=rounded)
        error = np.square(rounded, dtype=np.float64).sum(axis=1, keepdims=True)
        better = clearly_less(error, least)
        best = np.where(better, step * (levels - 1), best)
        least = np.where(better, error, least)
    return snapped(np.where(highest > 0, best, 0)[:, 0])
