"""Where the populations of a network lie: the result of mapping it to cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qcompiler.backends.chip import Chip

from .core_grid import CoreGrid
from .core_usage import CoreUsage


@dataclass(frozen=True)
class Placement:
    """A population on its cores; ``peak_usage`` is the largest use of each resource on a core."""

    population: str
    grid: CoreGrid
    peak_usage: CoreUsage
    synapses: int

    @property
    def cores(self) -> int:
        return self.grid.cores


@dataclass(frozen=True)
class CoreMapping:
    """All populations on cores; ``clocks`` are cores with clock neurons.

    ``shared`` has the populations of every core that holds several. A message is a spike on one
    output axon, to a core of one reader: readers that share a core have axons of their own.
    ``messages`` are those of a spike of each population, input and clock, the mean of its neurons.
    ``traffic`` has the messages of a frame in which every neuron of a population, or of an input,
    spikes once.
    """

    chip: Chip
    placements: tuple[Placement, ...]
    clocks: int
    shared: tuple[tuple[str, ...], ...] = ()
    messages: Mapping[str, float] = field(default_factory=dict)
    traffic: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def cores(self) -> int:
        saved = sum(len(group) - 1 for group in self.shared)
        return self.clocks + sum(placement.cores for placement in self.placements) - saved

    @property
    def chips(self) -> int:
        return -(-self.cores // self.chip.cores)
