"""Clock neurons, and all synapses of a netlist in the form that chips have: 8 bits and a shift."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcompiler.ir.kernels import Array

from .limits import REACH
from .netlist import Group, Netlist
from .wiring import Wires

CLOCK = ""  # the sender of clock synapses; no population has this name


class Clocks:
    """The neurons that tick: one for each step at which clocks reach any population.

    With ``limited`` weights there are copies of them, so that several synapses can add up to a
    weight beyond the reach of one. Neuron ``copy * len(ticks) + i`` ticks for ``ticks[i]``.
    """

    def __init__(self, netlist: Netlist, limited: bool) -> None:
        self.netlist = netlist
        self.ticks = sorted({line.at for line in netlist.controls})
        largest = max((int(np.abs(c.weight).max()) for c in netlist.controls), default=0)
        self.reach = REACH if limited else max(1, largest)
        self.arrivals: Array = np.tile(np.array(self.ticks, np.int64), -(-largest // self.reach))

    def synapses_into(self, group: Group) -> Iterator[Wires]:
        """Every synapse of a population: from data, from its own spikes, and from clocks."""
        yield from (wire for wire in self.netlist.wires if wire.target == group.name)
        each = np.arange(group.size)
        yield Wires(group.name, group.name, each, each, np.full(group.size, -group.inhibition))
        if lines := list(self._lines(group)):
            parts = (np.concatenate(arrays) for arrays in zip(*lines, strict=True))
            yield Wires(CLOCK, group.name, *parts)

    def _lines(self, group: Group) -> Iterator[tuple[Array, Array, Array]]:
        for line in self.netlist.controls:
            neuron, rest = self.ticks.index(line.at), line.weight
            while line.target == group.name and rest.any():
                weight = np.clip(rest, -self.reach, self.reach)
                post = np.flatnonzero(weight)
                yield np.full(len(post), neuron), post, weight[post]
                neuron, rest = neuron + len(self.ticks), rest - weight
