"""Align branches: synaptic delays, and relay populations where delays are not long enough.

A relay population is a layer with ``W = D`` and ``B = 0``. It repeats the levels of its source one
window and one step later. The relays of one source form a chain, which all its readers share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Value
from qcompiler.ir.snn import Neuron, Relay
from qcompiler.ir.spiking.integer_network import connection, spikes_of
from qcompiler.ir.spiking.senders import sender
from qcompiler.ir.types import Current

_WEIGHT = 2  # even, so that it suits every target


def relays_needed(wait: int, top: int, delay: int) -> int | None:
    """Fewest relays that, with synaptic delays, delay spikes by ``wait`` steps; None if none do.

    A relay takes ``top + 1`` steps; each synapse delays by 0 to ``delay`` steps (-1: no limit).
    """
    if wait < 0:
        return None
    if delay < 0 or wait <= delay:
        return 0
    count = -(-(wait - delay) // (top + 1 + delay))
    return count if count * (top + 1) <= wait else None


class _Stop(NamedTuple):
    """A source or one of its relays, and by how many steps its spikes are later."""

    spikes: Value
    after: int


class Relays:
    """Delays of all synapses and relay populations, given the first spike step of each population.

    ``behind`` maps the name of a value to the nodes to insert behind its producer.
    """

    def __init__(self, graph: Graph, starts: dict[str, int], delay: int) -> None:
        self.graph, self.starts, self.delay = graph, starts, delay
        self.behind: dict[str, list[Node]] = {}
        self.reads: dict[str, _Stop] = {}
        self.waits: dict[str, int] = {}
        readers: dict[str, list[Node]] = {}
        for synapse in self._synapses():
            readers.setdefault(synapse.operands[0].name, []).append(synapse)
        for name, synapses in readers.items():
            self.behind[name] = []
            self._plan(sorted(synapses, key=lambda node: self.waits[node.result.name]))

    def delayed(self, synapse: Node) -> Node:
        """The synapse with the delay, and the relay as source, that its target's window needs."""
        stop = self.reads[synapse.result.name]
        wait = self.waits[synapse.result.name] - stop.after
        op = replace(connection(synapse), delay=wait)
        return replace(synapse, op=op, operands=(stop.spikes, *synapse.operands[1:]))

    def opening(self, synapse: Node) -> int:
        """The first step at which spikes can arrive through a synapse."""
        return self._start(synapse) + 1 + self.waits[synapse.result.name]

    def _synapses(self) -> Iterator[Node]:
        """The synapses of all neurons; also records by how many steps each must delay."""
        for node in self.graph.nodes:
            if isinstance(node.op, Neuron):
                for operand in node.operands:
                    synapse = self.graph.producer(operand)
                    if synapse is None:  # a constant
                        continue
                    arrival = self._start(synapse) + 1 + spikes_of(synapse.operands[0]).top
                    self.waits[operand.name] = self.starts[node.result.name] - arrival
                    yield synapse

    def _start(self, synapse: Node) -> int:
        return self.starts[sender(self.graph, synapse.operands[0]).result.name]

    def _plan(self, synapses: list[Node]) -> None:
        """Choose the relay that each reader of one source reads, those of least delay first."""
        source = synapses[0].operands[0]
        assert isinstance(source, Value)
        start, top, stops = self._start(synapses[0]), spikes_of(source).top, [_Stop(source, 0)]
        for synapse in synapses:
            wait = self.waits[synapse.result.name]
            ways = [(relays_needed(wait - stop.after, top, self.delay), stop) for stop in stops]
            count, stop = min(
                ((count, stop) for count, stop in ways if count is not None),
                key=lambda way: (way[0], -way[1].after),
            )
            spare = wait - stop.after - count * (top + 1)
            for _ in range(count):
                delay = min(spare, self.delay)
                spare -= delay
                stop = self._relay(source, stop, start, delay)
                stops.append(stop)
            self.reads[synapse.result.name] = stop

    def _relay(self, source: Value, stop: _Stop, start: int, delay: int) -> _Stop:
        code, nodes = spikes_of(source), self.behind[source.name]
        name = self.graph.fresh(f"{source.name}:relay{len(nodes) // 2 or ''}")
        one = np.ones((1,) * len(code.shape), np.int8)
        weight, bias, slope = (
            Constant(f"{name}:{what}", one * number)
            for what, number in (("W", _WEIGHT), ("B", 0), ("D", _WEIGHT))
        )
        after = stop.after + code.top + 1 + delay
        window = (start + stop.after + 1 + delay, start + after, start + after + code.top)
        current = Value(f"{name}:current", Current(code.shape))
        spikes = Value(name, code)
        op = Neuron(code.t_max, code.scale, code.zero, window)
        nodes.append(Node(Relay(delay), (stop.spikes, weight), current))
        nodes.append(Node(op, (current, bias, slope), spikes))
        return _Stop(spikes, after)
