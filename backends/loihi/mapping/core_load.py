"""What every cost of a projection tells: its use of cores, and of the senders' axons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from qcompiler.backends.loihi.netlist.netlist import Synapses
from qcompiler.ir.kernels import Array

from .core_grid import CoreGrid


@dataclass(frozen=True)
class CoreLoad:
    """Input axons and memory bits per core, arrays that broadcast to ``rows x columns``."""

    axons: Array
    bits: Array


class ProjectionCost(Protocol):
    """The cost of one projection: a row of synapses onto a population."""

    row: Synapses
    synapses: int  # that all cores store

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """All that loads depend on beside the kind of synapses and their delay."""

    def load(self, grid: CoreGrid) -> CoreLoad:
        """Input axons and memory on each core of the target."""

    def output_axons(self, grid: CoreGrid) -> Array:
        """Output axons of every presynaptic neuron, flat, in the order of the row's senders."""
