"""What a row of synapses takes on the cores of its receivers, from its geometry alone.

The receivers lie on a `grid.Grid` of cores. A sender that reaches a core takes one input axon there
and the memory of its synapses, for each of the lists that `split` makes of the row's weights, and
for every row apart: two rows from one population share no axons.

Memory is that of nengo-loihi 1.0, block.py, ``SynapseConfig.bits_per_axon``, with the indices that
``Synapse.idx_bits`` chooses: see `memory`. Weights that repeat are stored again.

These counts are exact but for the following, where they are upper bounds:

- kernels and clocks: a weight 0 counts as a synapse. Relays, own inhibition and matrices leave
  weights 0 out.
- views that repeat a sender: it counts as often as it stands in the view.
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
from qcompiler.backends.loihi.netlist.synapse_lists import split, windows
from qcompiler.ir.kernels import Array, of_rank

from .core_grid import Grid, plane, table

_WEIGHT, _DELAY = 8, 6  # bits of a synapse
_INDEX = 6  # and of its neuron's number: as many as it takes, but no less than these, or none
_HEADER, _BLOCK, _UNIT = 4 + 6, 64, 64  # bits of a block, its synapses, bits of memory it fills


@dataclass(frozen=True)
class Load:
    """What cores spend, ``rows x columns`` of a grid or arrays that spread over them."""

    axons: Array
    bits: Array


class Fan(Protocol):
    """One row of synapses onto a population."""

    row: Synapses
    synapses: int  # that all cores store

    def load(self, grid: Grid) -> Load:
        """What the row takes on each core of its receivers."""

    def reach(self, grid: Grid) -> Array:
        """Output axons of every place of the view of its senders, flat."""


def least_memory(synapses: int) -> int:
    """Bits that so many synapses store at least, on cores of several neurons."""
    return (_WEIGHT + _INDEX) * synapses


def memory(synapses: Array, neurons: int, delay: int) -> Array:
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


class Kernel:
    """A convolution: senders reach as many channels as are of their group, in all their windows."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row, self.lists = row, len(split(row.weights))
        outs, self.ins, *kernel = row.weights.shape
        self.outs, self.area = outs // row.groups, prod(row.senders[1:])
        image = np.arange(self.area, dtype=np.int32).reshape(1, *row.senders[1:])
        self.seen = windows(row, image, tuple(kernel)).reshape(plane(group)[1], -1)
        seen = np.count_nonzero(self.seen >= 0)
        self.synapses = self.lists * row.weights.shape[0] * self.ins * int(seen)
        self._windows = lru_cache(maxsize=1)(self._count)

    def _count(self, columns: int) -> tuple[Array, Array, Array]:
        """How often runs of places see a place of the senders.

        Returns numbers of windows; how many places each run sees in so many windows,
        ``columns x numbers``; and for each place the number of runs that see it.
        """
        lengths = np.diff(Grid(1, len(self.seen), 1, columns).lefts)
        kind: Any = np.int32 if columns * self.area < 1 << 31 else np.int64
        begin = np.repeat(np.arange(columns, dtype=kind) * kind(self.area), lengths)
        keys: Array = (begin[:, None] + self.seen)[self.seen >= 0]
        keys.sort(kind="stable")  # which uses that parts are in order
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        often = np.diff(starts, append=len(keys))
        run, place = np.divmod(keys[starts], self.area)
        most = int(often.max(initial=0)) + 1
        found = np.bincount(run * np.int64(most) + often, minlength=columns * most)
        found = found.reshape(columns, most)
        used = np.flatnonzero(found.any(axis=0))
        return used, found[:, used], np.bincount(place, minlength=self.area)

    def _channels(self, grid: Grid) -> tuple[Array, Array, Array]:
        """Of a run's channels: how many in its first, last and other groups; how many such groups.

        Returns both for all kinds of runs, ``kinds x 3``, and the kind of each run.
        """
        begin, end = grid.tops[:-1], grid.tops[1:]
        first, last = begin // self.outs, (end - 1) // self.outs
        one, between = first == last, np.maximum(last - first - 1, 0)
        head = np.where(one, end, (first + 1) * self.outs) - begin
        tail = np.where(one, 0, end - last * self.outs)
        keys = (head * (self.outs + 1) + tail) * self.row.groups + between
        _, kinds, which = np.unique(keys, return_index=True, return_inverse=True)
        reached = np.stack([head, tail, np.full_like(head, self.outs)], axis=1)
        groups = np.stack([np.ones_like(head), ~one, between], axis=1)
        return reached[kinds], groups[kinds], which

    def load(self, grid: Grid) -> Load:
        """See `Fan`."""
        often, places, _ = self._windows(grid.columns)
        reached, groups, which = self._channels(grid)
        bits = memory(reached[..., None] * often, grid.neurons, self.row.delay)
        senders = self.lists * self.ins * groups  # channels at a place
        stored = (senders[..., None] * bits).sum(axis=1) @ places.T.astype(float)
        axons = senders.sum(axis=1)[:, None] * places.sum(axis=1)
        return Load(axons[which], stored[which])

    def reach(self, grid: Grid) -> Array:
        """See `Fan`."""
        edges = np.arange(self.row.groups + 1) * self.outs
        last = np.searchsorted(grid.tops, edges[1:], "left")
        runs = last - np.searchsorted(grid.tops, edges[:-1], "right") + 1
        found: Array = np.outer(np.repeat(runs, self.ins), self._windows(grid.columns)[2]).ravel()
        return self.lists * found


class Matrix:
    """Weights ``receivers x senders``; the receivers are channels of one place."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        self.lists = [part != 0 for part, _ in split(row.weights)]
        self.synapses = sum(int(np.count_nonzero(there)) for there in self.lists)

    def load(self, grid: Grid) -> Load:
        """See `Fan`."""
        axons, bits = np.zeros((2, grid.rows, 1), np.int64)
        for there in self.lists:
            for index, (a, b) in enumerate(zip(grid.tops[:-1], grid.tops[1:], strict=True)):
                count = np.bincount(there[a:b].sum(axis=0, dtype=np.int32))
                stored = memory(np.arange(len(count)), grid.neurons, self.row.delay)
                axons[index] += count[1:].sum()
                bits[index] += count @ stored
        return Load(axons, bits)

    def reach(self, grid: Grid) -> Array:
        """See `Fan`."""
        found = np.zeros(self.row.weights.shape[1], np.int64)
        for there in self.lists:
            for a, b in zip(grid.tops[:-1], grid.tops[1:], strict=True):
                found += there[a:b].any(axis=0)
        return found


class Each:
    """From every sender to its counterpart: one synapse a list."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        weights = np.asarray(row.weights)
        weights = of_rank(weights, len(group.shape))
        if any(n > 1 for n in weights.shape[1:]):
            weights = np.broadcast_to(weights, (*weights.shape[:1], *group.shape[1:]))
        weights = weights.reshape(weights.shape[0] if weights.ndim else 1, -1)
        count = sum((part != 0).astype(np.int64) for part, _ in split(weights))
        self.count = np.broadcast_to(count, plane(group))
        self.table = table(self.count, plane(group))
        self.synapses = int(self.table[-1, -1])

    def load(self, grid: Grid) -> Load:
        """See `Fan`."""
        synapses = grid.sums(self.table)
        return Load(synapses, synapses * memory(np.array(1), grid.neurons, self.row.delay))

    def reach(self, grid: Grid) -> Array:
        """See `Fan`."""
        return self.count.ravel()


class Clock:
    """From every tick of a row to every neuron."""

    def __init__(self, row: Synapses, group: Population) -> None:
        self.row = row
        self.axons = sum(len(split(line)) for line in row.weights)
        self.synapses = self.axons * group.size

    def load(self, grid: Grid) -> Load:
        """See `Fan`."""
        neurons = np.diff(grid.tops)[:, None] * np.diff(grid.lefts)
        bits = memory(neurons, grid.neurons, self.row.delay)
        return Load(np.full((1, 1), self.axons), self.axons * bits)

    def reach(self, grid: Grid) -> Array:
        """Output axons of all of the row's ticks together."""
        return np.array([self.axons * grid.cores])


_KINDS: dict[str, Callable[[Synapses, Population], Fan]] = {
    "kernel": Kernel,
    "matrix": Matrix,
    "each": Each,
    "clock": Clock,
}


def fan(row: Synapses, group: Population) -> Fan:
    """The counts of a row onto this population."""
    return _KINDS[row.kind](row, group)
