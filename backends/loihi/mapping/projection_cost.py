"""Axons and synapse memory of one projection on the cores of its target population.

The target lies on a `core_grid.CoreGrid`. A presynaptic neuron that reaches a core takes one input
axon there, and the memory of its synapses, for each part that `split_weights` makes of the weights.
Two projections from one population share no axons.

Memory is that of nengo-loihi 1.0, block.py, ``SynapseConfig.bits_per_axon``, with the indices that
``Synapse.idx_bits`` chooses: see `synapse_bits`. Repeated weights are stored repeatedly.

These counts are exact but for the following, where they are upper bounds:

- kernels and clocks: a weight 0 counts as a synapse. Relays, own inhibition and matrices leave
  weights 0 out.
- kernels and matrices behind views that repeat a sender: it counts as often as it stands there.
- the indices of all cores of a grid are as wide as those of its largest core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Protocol

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import receptive_fields, split_weights
from qcompiler.ir.kernels import Array, expand_to_rank

from .core_grid import CoreGrid, channels_and_positions, summed_area_table

_WEIGHT, _DELAY = 8, 6  # bits of a synapse
_INDEX = 6  # and of its neuron's number: as many as it takes, but no less than these, or none
_HEADER, _BLOCK, _UNIT = 4 + 6, 64, 64  # bits of a block, its synapses, bits of memory it fills


@dataclass(frozen=True)
class CoreLoad:
    """Input axons and memory bits per core, arrays that broadcast to ``rows x columns``."""

    axons: Array
    bits: Array


class ProjectionCost(Protocol):
    """The cost of one projection: a row of synapses onto a population."""

    row: Synapses
    synapses: int  # that all cores store

    def load(self, grid: CoreGrid) -> CoreLoad:
        """Input axons and memory on each core of the target."""

    def output_axons(self, grid: CoreGrid) -> Array:
        """Output axons of every presynaptic neuron, flat, in the order of the row's senders."""


def min_synapse_bits(synapses: int) -> int:
    """Lower bound of the memory of synapses in bits, on cores with several neurons."""
    return (_WEIGHT + _INDEX) * synapses


def synapse_bits(synapses: Array, neurons: int, delay: int) -> Array:
    """Bits that axons with these numbers of synapses store on a core of so many neurons.

    A block has up to 64 synapses: for each 8 bits of weight, its neuron's number, and 6 bits if
    there are delays; besides 10 bits, all rounded up to 64.
    """
    index = max(_INDEX, (neurons - 1).bit_length()) if neurons > 1 else 0
    each = _WEIGHT + index + (_DELAY if delay else 0)
    full, rest = np.divmod(synapses, _BLOCK)
    found: Array = full * _units(_BLOCK * each + _HEADER)
    found = found + np.where(rest, _units(rest * each + _HEADER), 0)
    return found


def _units(bits: Array | int) -> Array:
    found: Array = -(-np.asarray(bits) // _UNIT) * _UNIT
    return found


class ConvolutionCost:
    """A convolution: senders reach as many channels as are of their group, in all their windows."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row, self.weight_parts = row, len(split_weights(row.weights))
        outs, self.ins, *kernel = row.weights.shape
        self.outs, self.area = outs // row.groups, prod(row.senders[1:])
        image = np.arange(self.area, dtype=np.int32).reshape(1, *row.senders[1:])
        self.fields = receptive_fields(row, image, tuple(kernel)).reshape(
            channels_and_positions(group)[1], -1
        )
        fields = np.count_nonzero(self.fields >= 0)
        self.synapses = self.weight_parts * row.weights.shape[0] * self.ins * int(fields)
        self._windows = lru_cache(maxsize=1)(self._count)

    def _count(self, columns: int) -> tuple[Array, Array, Array]:
        """How often runs of places see a place of the senders.

        Returns numbers of windows; how many places each run sees in so many windows,
        ``columns x numbers``; and for each place the number of runs that see it.
        """
        lengths = np.diff(CoreGrid(1, len(self.fields), 1, columns).position_starts)
        kind: Any = np.int32 if columns * self.area < 1 << 31 else np.int64
        begin = np.repeat(np.arange(columns, dtype=kind) * kind(self.area), lengths)
        keys: Array = (begin[:, None] + self.fields)[self.fields >= 0]
        keys.sort(kind="stable")  # which uses that parts are in order
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        multiplicity = np.diff(starts, append=len(keys))
        run, position = np.divmod(keys[starts], self.area)
        most = int(multiplicity.max(initial=0)) + 1
        found = np.bincount(run * np.int64(most) + multiplicity, minlength=columns * most)
        found = found.reshape(columns, most)
        used = np.flatnonzero(found.any(axis=0))
        return used, found[:, used], np.bincount(position, minlength=self.area)

    def _channels(self, grid: CoreGrid) -> tuple[Array, Array, Array]:
        """Of a run's channels: how many in its first, last and other groups; how many such groups.

        Returns both for all kinds of runs, ``kinds x 3``, and the kind of each run.
        """
        begin, end = grid.channel_starts[:-1], grid.channel_starts[1:]
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
        senders = self.weight_parts * self.ins * groups  # channels at a place
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


class DenseCost:
    """Weights ``receivers x senders``; the receivers are channels of one place."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        self.weight_parts = [part != 0 for part, _ in split_weights(row.weights)]
        self.synapses = sum(int(np.count_nonzero(nonzero)) for nonzero in self.weight_parts)

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        axons, bits = np.zeros((2, grid.rows, 1), np.int64)
        for nonzero in self.weight_parts:
            for index, (a, b) in enumerate(
                zip(grid.channel_starts[:-1], grid.channel_starts[1:], strict=True)
            ):
                count = np.bincount(nonzero[a:b].sum(axis=0, dtype=np.int32))
                stored = synapse_bits(np.arange(len(count)), grid.neurons, self.row.delay)
                axons[index] += count[1:].sum()
                bits[index] += count @ stored
        return CoreLoad(axons, bits)

    def output_axons(self, grid: CoreGrid) -> Array:
        """See `ProjectionCost`."""
        found = np.zeros(self.row.weights.shape[1], np.int64)
        for nonzero in self.weight_parts:
            for a, b in zip(grid.channel_starts[:-1], grid.channel_starts[1:], strict=True):
                found += nonzero[a:b].any(axis=0)
        return found


class OneToOneCost:
    """From every sender to its counterpart: one synapse a list."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        count = sum(part.astype(np.int64) for part in _parts_of_each(row, group))
        self.count = np.broadcast_to(count, channels_and_positions(group))
        self.summed_area_table = summed_area_table(self.count, channels_and_positions(group))
        self.synapses = int(self.summed_area_table[-1, -1])

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

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        extent = channels_and_positions(group)
        self.parts = [np.broadcast_to(part, extent) for part in _parts_of_each(row, group)]
        self.senders = np.reshape(row.order, extent).astype(np.int64)
        self.synapses = sum(int(np.count_nonzero(part)) for part in self.parts)
        self._axons = lru_cache(maxsize=1)(self._count)

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


def _one_to_one(row: Synapses, group: Population) -> ProjectionCost:
    repeated = row.order is not None and np.unique(row.order).size < np.size(row.order)
    return SpreadCost(row, group) if repeated else OneToOneCost(row, group)


class ClockCost:
    """From every tick of a row to every neuron."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        self.axons = sum(len(split_weights(line)) for line in row.weights)
        self.synapses = self.axons * group.size

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
    "each": _one_to_one,
    "clock": ClockCost,
}


def cost_of(row: Synapses, group: Population) -> ProjectionCost:
    """The cost of a row of synapses onto a population."""
    return _KINDS[row.kind](row, group)
