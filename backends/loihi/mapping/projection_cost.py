"""Axons and synapse memory of one projection on the cores of its target population.

The target lies on a `core_grid.CoreGrid`. A presynaptic neuron that reaches a core takes one input
axon there, and the memory of its synapses, for each part that `split_weights` makes of the weights.
Two projections from one population share no axons.

Memory is that of `synapse_memory`. Repeated weights are stored repeatedly.

These counts are exact but for the following, where they are upper bounds:

- kernels and clocks: a weight 0 counts as a synapse. Relays, own inhibition and matrices leave
  weights 0 out.
- kernels and matrices behind views that repeat a sender: it counts as often as it stands there.
- the indices of all cores of a grid are as wide as those of its largest core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import split_weights
from qcompiler.ir.kernels import Array

from .convolution_cost import ConvolutionCost
from .core_grid import CoreGrid
from .core_load import CoreLoad, ProjectionCost
from .one_to_one_cost import one_to_one_cost
from .synapse_memory import synapse_bits

_BLOCK = 1 << 14  # weights of short runs that are counted together


class DenseCost:
    """Weights ``receivers x senders``; the receivers are channels of one place."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        self.weight_parts = [part != 0 for part, _ in split_weights(row.weights)]
        self.synapses = sum(int(np.count_nonzero(nonzero)) for nonzero in self.weight_parts)

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """See `ProjectionCost`."""
        yield self.row.weights.shape
        yield from (np.packbits(part).tobytes() for part in self.weight_parts)

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        axons, bits = np.zeros((2, grid.rows, 1), np.int64)
        longest = -(-grid.channels // grid.rows)
        stored = synapse_bits(np.arange(longest + 1), grid.neurons, self.row.delay)
        for nonzero in self.weight_parts:
            for at, count in _synapses(nonzero, grid.channel_starts):
                axons[at, 0] += np.count_nonzero(count, axis=1)
                bits[at, 0] += stored[count].sum(axis=1)
        return CoreLoad(axons, bits)

    def output_axons(self, grid: CoreGrid) -> Array:
        """See `ProjectionCost`."""
        found = np.zeros(self.row.weights.shape[1], np.int64)
        for nonzero in self.weight_parts:
            for _, count in _synapses(nonzero, grid.channel_starts):
                found += np.count_nonzero(count, axis=0)
        return found


def _synapses(nonzero: Array, starts: Array) -> Iterator[tuple[slice, Array]]:
    """Of every sender in each run of receivers: some runs, and their numbers ``runs x senders``."""
    step = max(1, _BLOCK // max(1, int(np.diff(starts).max()) * nonzero.shape[1]))
    for at in range(0, len(starts) - 1, step):
        edges = starts[at : at + step + 1]
        some = nonzero[edges[0] : edges[-1]]
        if step == 1:
            count = some.sum(axis=0, dtype=np.int32, keepdims=True)
        else:
            count = np.add.reduceat(some, edges[:-1] - edges[0], axis=0, dtype=np.int32)
        yield slice(at, at + step), count


class ClockCost:
    """From every tick of a row to every neuron."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        self.axons = sum(len(split_weights(line)) for line in row.weights)
        self.synapses = self.axons * group.size

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """See `ProjectionCost`."""
        yield self.axons

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        neurons = np.diff(grid.channel_starts)[:, None] * np.diff(grid.position_starts)
        bits = synapse_bits(neurons, grid.neurons, self.row.delay)
        return CoreLoad(np.full((1, 1), self.axons), self.axons * bits)

    def output_axons(self, grid: CoreGrid) -> Array:
        """Output axons of all of the row's ticks together."""
        return np.array([self.axons * grid.cores])


_KINDS: dict[str, Callable[[Synapses, Population], ProjectionCost]] = {
    "kernel": ConvolutionCost,
    "matrix": DenseCost,
    "each": one_to_one_cost,
    "clock": ClockCost,
}


def cost_of(row: Synapses, group: Population) -> ProjectionCost:
    """The cost of a row of synapses onto a population."""
    return _KINDS[row.kind](row, group)
