"""The cost of a convolution on the cores of its target."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from copy import copy
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import receptive_fields, split_weights
from qcompiler.ir.kernels import Array

from .core_grid import CoreGrid, channels_and_positions
from .core_load import CoreLoad, ProjectionCost
from .seen_places import Seen, SeenPlaces
from .synapse_memory import synapse_bits


class ConvolutionCost:
    """A convolution: senders reach as many channels as are of their group, in all their windows."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        outs, self.ins, *kernel = row.weights.shape
        self.weight_parts = len(split_weights(row.weights))
        self.senders = self.weight_parts * self.ins  # of a group, at each place
        self.geometry: Hashable = (
            (outs, *kernel, row.groups, row.delay, *row.senders[1:]),
            (row.strides, row.pads, row.dilations),
        )
        self.outs, self.area = outs // row.groups, prod(row.senders[1:])
        image = np.arange(self.area, dtype=np.int32).reshape(1, *row.senders[1:])
        fields = receptive_fields(row, image, tuple(kernel))
        self.seen = SeenPlaces(fields.reshape(channels_and_positions(group)[1], -1), self.area)
        self.synapses = self.weight_parts * row.weights.shape[0] * self.ins * len(self.seen.numbers)
        self._windows = lru_cache(maxsize=1)(self._count)

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """See `ProjectionCost`."""
        row = self.row
        yield from (self.weight_parts, row.weights.shape, row.groups, tuple(row.senders))
        yield from (tuple(row.strides), tuple(row.pads), tuple(row.dilations))

    def _count(self, columns: int) -> Seen:
        return self.seen.by(CoreGrid(1, self.seen.places, 1, columns).position_starts)

    def _channels(self, grid: CoreGrid) -> tuple[Array, Array, Array]:
        """Of a run's channels: how many in its first, last and other groups; how many such groups.

        Returns both for all kinds of runs, ``kinds x 3``, and the kind of each run. Lengths differ
        by at most one; of a single group, runs have a first alone.
        """
        begin, end = grid.channel_starts[:-1], grid.channel_starts[1:]
        if self.row.groups == 1:
            lengths = end - begin
            most = int(lengths.max())
            reached = np.array([[most - 1], [most]])
            return reached, np.ones_like(reached), lengths - (most - 1)
        first, last = begin // self.outs, (end - 1) // self.outs
        projection, between = first == last, np.maximum(last - first - 1, 0)
        head = np.where(projection, end, (first + 1) * self.outs) - begin
        tail = np.where(projection, 0, end - last * self.outs)
        keys = (head * (self.outs + 1) + tail) * self.row.groups + between
        _, kinds, which = np.unique(keys, return_index=True, return_inverse=True)
        reached = np.stack([head, tail, np.full_like(head, self.outs)], axis=1)
        groups = np.stack([np.ones_like(head), ~projection, between], axis=1)
        return reached[kinds], groups[kinds], which

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        multiplicity, positions, _ = self._windows(grid.columns)
        reached, groups, which = self._channels(grid)
        bits = synapse_bits(reached[..., None] * multiplicity, grid.neurons, self.row.delay)
        senders = self.senders * groups
        stored = (senders[..., None] * bits).sum(axis=1) @ positions.T.astype(float)
        axons = senders.sum(axis=1)[:, None] * positions.sum(axis=1)
        return CoreLoad(axons[which], stored[which])

    def output_axons(self, grid: CoreGrid) -> Array:
        """See `ProjectionCost`."""
        edges = np.arange(self.row.groups + 1) * self.outs
        last = np.searchsorted(grid.channel_starts, edges[1:], "left")
        runs = last - np.searchsorted(grid.channel_starts, edges[:-1], "right") + 1
        found: Array = np.outer(np.repeat(runs, self.ins), self._windows(grid.columns)[2]).ravel()
        return self.weight_parts * found


def loads_of(projections: Iterable[ProjectionCost]) -> list[ProjectionCost]:
    """Projections onto one population whose loads add up to those of all these.

    Convolutions alike but for their senders' channels, as those from slices are, become one.
    """
    alike: dict[Hashable, list[ProjectionCost]] = {}
    for index, cost in enumerate(projections):
        key = cost.geometry if isinstance(cost, ConvolutionCost) else index
        alike.setdefault(key, []).append(cost)
    return [_joined(some) for some in alike.values()]


def _joined(some: list[ProjectionCost]) -> ProjectionCost:
    whole = copy(some[0])
    if isinstance(whole, ConvolutionCost):
        whole.senders = sum(cost.senders for cost in some if isinstance(cost, ConvolutionCost))
    return whole
