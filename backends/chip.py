"""Limits of a chip and of its cores."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from qcompiler.ir import PipelineError

_LEAST = {"exponent": -1, "bias": 0, "delay": 0}  # of other limits 1


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

    PipelineError for a limit that is no whole number, or with which no core holds anything.
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

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise PipelineError(f"the name of a chip must be a text, not {self.name!r:.60}")
        for field in fields(self)[1:]:
            least, found = _LEAST.get(field.name, 1), getattr(self, field.name)
            if not _is_whole(found) or found < least:
                what = f"{field.name} of the chip {self.name} must be a whole number"
                raise PipelineError(f"{what} from {least} on, not {found!r:.60}")


def _is_whole(given: Any) -> bool:
    return isinstance(given, int | np.integer) and not isinstance(given, bool)
