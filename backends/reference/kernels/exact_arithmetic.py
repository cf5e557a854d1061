"""Which number formats of the fast engine compute the exact levels of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve
from qcompiler.ir.spiking.integer_network import Layer
from qcompiler.ir.spiking.synapse import weight_sums

from .sum_parts import SumPart

_BYTE_LIMIT = 1 << 18  # largest slope times levels for which rounding ties up is exact
_MOST_LEVELS = 254  # one more shows saturation


def is_per_channel(layer: Layer, array: Array) -> bool:
    """Whether an array that broadcasts to a population has one value per output channel."""
    return array.ndim == 0 or (
        all(n == 1 for n in array.shape[1:]) and (len(layer.spikes.shape) == array.ndim)
    )


def per_channel(layer: Layer, array: Array) -> Array:
    """One value per output channel, shape ``(channels,)``, of an array that `is_per_channel`."""
    return np.broadcast_to(array.reshape(-1), layer.spikes.shape[:1]).astype(np.int64)


def divisor(parts: Sequence[SumPart], slope: Array) -> Array:
    """What divides all weights and the slope of each channel, which give the same over it."""
    found = slope.copy()
    for part in parts:
        by_channel = not (part.weight.ndim < 2 or part.weight.shape[0] != len(slope))
        rows = part.weight.reshape(len(slope) if by_channel else 1, -1)
        found = np.gcd(found, np.gcd.reduce(rows, axis=1))
    return found


def fits_float32(layer: Layer, parts: Sequence[SumPart]) -> bool:
    """Whether ``sum (W / D) q + (B + 1/2) / D`` in float32 stays within ``1 / (2 D)`` of exact.

    A sum of n products has an error below ``(n + 3) 2**-24`` of the sum of their magnitudes.
    """
    if len(parts) != 1 or not isinstance(parts[0].op, Convolve | Connect):
        return False
    if not (is_per_channel(layer, layer.bias) and is_per_channel(layer, layer.slope)):
        return False
    (part,) = parts
    magnitude = part.source.top * weight_sums(
        part.op, np.abs(part.weight, dtype=np.float64), part.source.shape
    )
    terms = part.weight[0].size + 3
    return bool((terms * (magnitude + np.abs(layer.bias) + 0.5)).max() < 1 << 23)


def fits_bytes(slope: Array, top: int) -> bool:
    """Whether 8-bit kernels, if there is one for the sum, give the exact levels for a slope."""
    return bool(top <= _MOST_LEVELS and slope.max() * (top + 2) <= _BYTE_LIMIT)
