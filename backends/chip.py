"""Limits of a chip and of its cores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """Limits of one chip and of each of its cores.

    ``weight`` is the largest weight of a synapse, in steps of 2, because mixed signs take a bit;
    half of it is the largest in steps of 1. ``exponent`` is the largest binary exponent that scales
    weights, -1 the least that is needed. The ``bias`` is like a weight.
    ``input`` limits a neuron's input per step, ``state`` its current and membrane potential,
    ``threshold`` its threshold, ``bias`` what it adds by itself at every step. ``delay`` is the
    largest synaptic delay in steps, in addition to the one step of every spike. Memory is in bits.
    ``cores`` refuses nothing, as a network may take several chips: it counts them, and bounds
    how far the estimate of time and static power spreads a network.
    """

    name: str
    weight: int
    exponent: int
    input: int
    state: int
    threshold: int
    bias: int
    delay: int
    neurons_per_core: int
    input_axons_per_core: int
    output_axons_per_core: int
    synapse_bits_per_core: int
    cores: int
