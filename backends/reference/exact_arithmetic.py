"""Which number formats of the fast engine compute the exact levels of a layer."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve
from qcompiler.ir.spiking.integer_network import Layer, connection, spikes_of, weight_of
from qcompiler.ir.spiking.synapse import weight_sums

_INT8_LIMIT = 1 << 18  # largest slope times levels for which rounding ties up is exact
_MIN_INT8_FAN_IN = 256  # synapses per neuron from which 8-bit kernels outweigh their conversions


def is_per_channel(layer: Layer, array: Array) -> bool:
    """Whether an array that broadcasts to a population has one value per output channel."""
    return array.ndim == 0 or (
        all(n == 1 for n in array.shape[1:]) and (len(layer.spikes.shape) == array.ndim)
    )


def per_channel(layer: Layer, array: Array) -> Array:
    """One value per output channel, shape ``(channels,)``, of an array that `is_per_channel`."""
    return np.broadcast_to(array.reshape(-1), layer.spikes.shape[:1]).astype(np.int64)


def common_factor(layer: Layer) -> int:
    """2 if all weights and slopes are even, else 1. Divided by it, they give the same levels."""
    even = not np.any(layer.slope % 2) and not any(np.any(weight_of(s) % 2) for s in layer.synapses)
    return 2 if even else 1


def fits_float32(layer: Layer) -> bool:
    """Whether ``sum (W / D) q + (B + 1/2) / D`` in float32 stays within ``1 / (2 D)`` of exact.

    A sum of n products has an error below ``(n + 3) 2**-24`` of the sum of their magnitudes.
    """
    if len(layer.synapses) != 1 or not isinstance(
        connection(layer.synapses[0]), Convolve | Connect
    ):
        return False
    (synapse,) = layer.synapses
    if not (is_per_channel(layer, layer.bias) and is_per_channel(layer, layer.slope)):
        return False
    weight, source = np.abs(weight_of(synapse).astype(np.int64)), spikes_of(synapse.operands[0])
    magnitude = source.top * weight_sums(connection(synapse), weight, source.shape)
    terms = weight[0].size + 3
    return bool((terms * (magnitude + np.abs(layer.bias) + 0.5)).max() < 1 << 23)


def fits_int8(layer: Layer) -> bool:
    """Whether 8-bit kernels compute the levels of a layer exactly, and faster than float32."""
    if len(layer.synapses) != 1:
        return False
    (synapse,) = layer.synapses
    weight, op = weight_of(synapse), connection(synapse)
    factor = common_factor(layer)
    return (
        isinstance(op, Convolve | Connect)
        and weight[0].size >= _MIN_INT8_FAN_IN
        and len(weight) >= 16
        and is_per_channel(layer, layer.bias)
        and is_per_channel(layer, layer.slope)
        and -128 * factor <= weight.min() <= weight.max() <= 127 * factor
        and max(layer.spikes.top, spikes_of(synapse.operands[0]).top) <= 127
        and layer.slope.max() / factor * (layer.spikes.top + 2) <= _INT8_LIMIT
    )
