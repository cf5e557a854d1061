"""Counts the synapses of a netlist, as the matrices hold them that a simulator or chip gets.

A weight beyond 8 bits is two or three synapses (see `split_weights`), for every target: the cost
models are those of a synapse of 8 bits. What a neuron reaches is counted sender by sender, so that
events follow from what each sends.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, marked_name
from qcompiler.backends.loihi.netlist.synapse_matrices import synapses_of_weights
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array

from .fan_out import clock_synapses_of, fan_out_of

_KNOWN: WeakKeyDictionary[Graph, Wiring] = WeakKeyDictionary()  # engines of one program share it


@dataclass(frozen=True, eq=False)
class Wiring:
    """Neurons and synapses of a network by population.

    ``neurons`` has inputs and populations, ``inputs`` names the former: the host drives them.
    ``fan_out`` counts the synapses that a spike of each neuron reaches, flat, its own inhibition
    left out; ``data`` counts those of two populations, sender first. ``clock_synapses`` and
    ``inhibition`` are by receiving population. A frame enters every ``interval`` steps and stays
    ``latency`` steps. ``codings`` are the codes of all, in the netlist's words; ``marked`` has the
    sender behind every source or population of markers. ``windows`` are the steps ``open`` and
    ``read`` of populations, between which their data arrive.
    """

    neurons: Mapping[str, int]
    inputs: frozenset[str]
    fan_out: Mapping[str, Array]
    data: Mapping[tuple[str, str], int]
    clock_synapses: Mapping[str, int]
    inhibition: Mapping[str, int]
    clock_neurons: int
    interval: int
    latency: int
    codings: Mapping[str, str] = field(default_factory=dict)
    marked: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Wiring):
            return NotImplemented
        return self is other or self._comparable == other._comparable

    @property
    def _comparable(self) -> dict[str, Any]:
        counts = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**counts, "fan_out": {n: found.tolist() for n, found in self.fan_out.items()}}

    @property
    def synapses(self) -> int:
        """All synapses: of data, of clocks, and of neurons to themselves."""
        counts = self.data, self.clock_synapses, self.inhibition
        return sum(sum(count.values()) for count in counts)

    def synapses_into(self, population: str) -> int:
        """All synapses of one population's neurons."""
        return self._into[population]

    @cached_property
    def _into(self) -> Counter[str]:
        """All synapses of each population's neurons."""
        found = Counter(self.clock_synapses) + Counter(self.inhibition)
        for (_, population), count in self.data.items():
            found[population] += count
        return found

    @property
    def senders(self) -> frozenset[str]:
        """Inputs and populations; the host's markers are no neurons of their own."""
        return frozenset(self.neurons.keys() - (self.inputs & self.marked.keys()))

    @property
    def sending_neurons(self) -> int:
        """The neurons of all senders."""
        return sum(self.neurons[name] for name in self.senders)

    @property
    def updated_neurons(self) -> int:
        """Neurons that a chip updates at every step: all but the inputs, and the clock's."""
        populations = (n for name, n in self.neurons.items() if name not in self.inputs)
        return sum(populations) + self.clock_neurons


def wiring_of(graph: Graph) -> Wiring:
    """The counts of a compiled graph, made once for each; ProgramError if it has no windows yet."""
    found = _KNOWN.get(graph)
    if found is None:  # the entry may have gone meanwhile, with an equal graph of its own
        found = _KNOWN[graph] = count_wiring(build_netlist(graph))
    return found


def count_wiring(netlist: Netlist) -> Wiring:
    """The counts of a netlist."""
    neurons = {row.name: int(np.prod(row.shape, dtype=np.int64)) for row in netlist.sources}
    inputs = frozenset(neurons)
    groups = {group.name: group for group in netlist.populations}
    neurons |= {name: group.size for name, group in groups.items()}
    fan_out = {name: np.zeros(size, np.int64) for name, size in neurons.items()}
    data: dict[tuple[str, str], int] = defaultdict(int)
    clocks: dict[str, int] = defaultdict(int)
    inhibition: dict[str, int] = defaultdict(int)
    for row in netlist.synapses:
        group = groups[row.target]
        if row.source == CLOCK:
            clocks[row.target] += clock_synapses_of(row, group)
        elif row.source == row.target:
            spread = np.broadcast_to(synapses_of_weights(row.weights), group.shape)
            inhibition[row.target] += int(spread.sum(dtype=np.int64))
        else:
            reached = fan_out_of(row, group, neurons[row.source])
            fan_out[row.source] += reached
            data[row.source, row.target] += int(reached.sum())
    times = netlist.interval, netlist.latency
    counts = dict(data), dict(clocks), dict(inhibition)
    codings = netlist.codings
    marked = {name: marked_name(name) for name, coding in codings.items() if coding == "marker"}
    windows = {name: (group.open, group.read) for name, group in groups.items()}
    given = neurons, inputs, fan_out, *counts, len(netlist.ticks), *times
    return Wiring(*given, codings, marked, windows)
