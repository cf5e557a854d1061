"""What a chip, and one of its cores, can hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """Limits of one chip and of one of its cores.

    ``weight`` is the largest weight of a synapse, in steps of 2, as synapses of both signs share
    a sign bit; ``exponent`` the largest power of two that scales synapses. A neuron's input of one
    step, its current and membrane, and its threshold lie within ``input``, ``state`` and
    ``threshold``; a spike travels at most ``delay`` extra steps. Memory counts bits.
    """

    name: str
    weight: int
    exponent: int
    input: int
    state: int
    threshold: int
    delay: int
    neurons_per_core: int
    input_axons_per_core: int
    output_axons_per_core: int
    synapse_bits_per_core: int
    cores: int
