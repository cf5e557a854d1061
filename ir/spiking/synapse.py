"""Arithmetic of synapses: the current they deliver, and the sum of weights per neuron."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array, convolve, spread_sums
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse

from .known_sums import Part, channel_sums, part_of


def current(op: Synapse, spikes: Array, weight: Array) -> Array:
    """Send a batch of spikes, or of levels, through synapses: ``batch x out``.

    Computed in float64: exact for integers while sums stay below 2**53.
    """
    x, w = spikes.astype(np.float64), weight.astype(np.float64)
    match op:
        case Convolve():
            return convolve(x, w, op, op.groups)
        case Connect():
            product: Array = x.reshape(len(x), -1) @ w.T
            return product
        case Relay():
            return x * w


def weight_sums(op: Synapse, weight: Array, source: tuple[int, ...], part: Part = "all") -> Array:
    """Sum of the weights into each neuron, as float64 that broadcasts over the neurons.

    ``source`` is the shape of the sending population. Part "positive" is the sum of the excitatory
    weights, "synapses" the number of synapses.
    """
    match op:
        case Convolve():
            return spread_sums(channel_sums(weight, part), source[1:], op)
        case Connect():
            return channel_sums(weight, part)[:, 0]
        case Relay():
            return part_of(weight, part).astype(np.float64)
