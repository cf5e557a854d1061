"""The cost of synapses from every sender to its counterpart, or to several behind a view."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import split_weights
from qcompiler.ir.kernels import Array, expand_to_rank

from .core_grid import CoreGrid, channels_and_positions, summed_area_table
from .core_load import CoreLoad, ProjectionCost
from .moved_cost import distinct, moved_cost
from .synapse_memory import synapse_bits


class OneToOneCost:
    """From every sender to its counterpart: one synapse a list."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        count = sum(part.astype(np.int64) for part in _parts_of_each(row, group))
        self.each = np.ascontiguousarray(count)
        self.count = np.broadcast_to(count, channels_and_positions(group))
        self.summed_area_table = summed_area_table(self.count, channels_and_positions(group))
        self.synapses = int(self.summed_area_table[-1, -1])

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """See `ProjectionCost`."""
        yield from (self.each.shape, self.each.tobytes())

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        synapses = grid.sums(self.summed_area_table)
        return CoreLoad(
            synapses, synapses * synapse_bits(np.array(1), grid.neurons, self.row.delay)
        )

    def output_axons(self, grid: CoreGrid) -> Array:
        """See `ProjectionCost`."""
        return self.count.ravel()


class SpreadCost:
    """From senders that stand several times in a view, to the counterparts of each place."""

    def __init__(self, row: Synapses, senders: Array, parts: list[Array]) -> None:
        self.row, self.senders = row, senders
        self.parts = [np.broadcast_to(part, senders.shape) for part in parts]
        self.synapses = sum(int(np.count_nonzero(part)) for part in self.parts)
        self._axons = lru_cache(maxsize=1)(self._count)

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """See `ProjectionCost`."""
        yield from (self.senders.shape, self.senders.tobytes())
        yield from (np.packbits(part).tobytes() for part in self.parts)

    def _count(self, grid: CoreGrid) -> list[tuple[Array, Array, Array]]:
        """For each part of the weights: the core and the sender of every axon, and its synapses."""
        width = int(self.senders.max(initial=0)) + 1
        row, column = (
            np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            for starts in (grid.channel_starts, grid.position_starts)
        )
        keys = (row[:, None] * grid.columns + column) * width + self.senders
        found = []
        for part in self.parts:
            axons = np.sort(keys[part], kind="stable")  # which uses that runs are in order
            starts = np.flatnonzero(np.diff(axons, prepend=-1))
            core, sender = np.divmod(axons[starts], width)
            found.append((core, sender, np.diff(starts, append=len(axons))))
        return found

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        axons, bits = np.zeros((2, grid.cores), np.int64)
        for core, _, synapses in self._axons(grid):
            axons += np.bincount(core, minlength=grid.cores)
            stored = synapse_bits(synapses, grid.neurons, self.row.delay)
            bits += np.bincount(core, stored, grid.cores).astype(np.int64)
        shape = grid.rows, grid.columns
        return CoreLoad(axons.reshape(shape), bits.reshape(shape))

    def output_axons(self, grid: CoreGrid) -> Array:
        """See `ProjectionCost`; those of a sender count where it stands first."""
        found = np.zeros(self.senders.size, np.int64)
        numbers, first = np.unique(self.senders, return_index=True)
        for _, sender, _ in self._axons(grid):
            found[first] += np.bincount(sender, minlength=int(numbers[-1]) + 1)[numbers]
        return found


def _parts_of_each(row: Synapses, group: Population) -> list[Array]:
    """Where synapses are for each part of the weights, spread over channels and positions."""
    weights = expand_to_rank(np.asarray(row.weights), len(group.shape))
    if any(n > 1 for n in weights.shape[1:]):
        weights = np.broadcast_to(weights, (*weights.shape[:1], *group.shape[1:]))
    weights = weights.reshape(weights.shape[0] if weights.ndim else 1, -1)
    return [part != 0 for part, _ in split_weights(weights)]


def one_to_one_cost(row: Synapses, group: Population) -> ProjectionCost:
    """The cost of a row of kind ``each``."""
    if row.order is None or distinct(row.order) == row.order.size:
        return OneToOneCost(row, group)
    senders = np.reshape(row.order, channels_and_positions(group)).astype(np.int64)
    parts = _parts_of_each(row, group)
    return moved_cost(row, senders, parts) or SpreadCost(row, senders, parts)
