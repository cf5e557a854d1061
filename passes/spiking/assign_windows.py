"""Schedule the network: set the input and output window of every population.

A population integrates its inputs while its sources spike, and spikes right after that. A spike
takes one step to the next population, so windows follow from longest paths over the graph. Where
branches meet, the spikes of shorter branches are delayed: by synaptic delays as far as the target
allows, beyond that by relay populations (see `scheduling.relays`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qcompiler.ir import Diagnostic, Graph, Invariant, Node, UnsupportedModel
from qcompiler.ir.snn import Connect, Convolve, Encode, First, Neuron, Relay
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.ir.spiking.invariants import NO_READOUT, SCHEDULED, SPIKING
from qcompiler.ir.spiking.senders import sender
from qcompiler.passes.base import Pass
from qcompiler.passes.scheduling.relays import Relays, relays_needed

_PATIENCE = 1 << 12  # most steps by which a window moves back so that branches can meet


@dataclass(frozen=True)
class AssignWindows(Pass):
    """Set the window of every neuron and the start of every encoder and first-spike gate.

    ``delay`` is the longest synaptic delay in steps; -1 means no limit. Raises UnsupportedModel if
    branches cannot be aligned within this limit.
    """

    name: ClassVar[str] = "assign-windows"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING, NO_READOUT)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    delay: int = -1

    def __post_init__(self) -> None:
        if self.delay < -1:
            raise ValueError(f"delay must be at least 0, or -1 for any, not {self.delay}")

    def __call__(self, graph: Graph) -> Graph:
        """Longest path to every population, then windows and delays along it."""
        starts = _starts(graph, self.delay)
        relays = Relays(graph, starts, self.delay)
        nodes: list[Node] = []
        for node in graph.nodes:
            nodes.append(_timed(node, starts, graph, relays))
            nodes.extend(relays.behind.get(node.result.name, ()))
        return replace(graph, nodes=tuple(nodes))


def _starts(graph: Graph, delay: int) -> dict[str, int]:
    """The step at which each population sends its highest level, the first of its window."""
    starts: dict[str, int] = {}
    for node in spiking_nodes(graph):  # each behind its sources
        arrivals: list[tuple[int, int]] = []
        for source in _sources(graph, node):
            top = spikes_of(source.result).top
            steps = 1 if isinstance(node.op, First) else 1 + top
            arrivals.append((starts[source.result.name] + steps, top))
        starts[node.result.name] = _meeting(arrivals, delay, node)
    return starts


def _meeting(arrivals: list[tuple[int, int]], delay: int, node: Node) -> int:
    """The first step at which all branches can arrive together.

    ``arrivals`` holds the earliest arrival of each branch and the top level of its source.
    """
    first = max((step for step, _ in arrivals), default=0)
    for read in range(first, first + _PATIENCE):
        if all(relays_needed(read - step, top, delay) is not None for step, top in arrivals):
            return read
    raise UnsupportedModel(
        Diagnostic(
            f"branches never meet: synapses delay by at most {delay} steps",
            node.origin,
            "raise the option delay of assign-windows",
        )
    )


def _sources(graph: Graph, node: Node) -> list[Node]:
    match node.op:
        case First():
            return [sender(graph, node.operands[0])]
        case Neuron():
            return [sender(graph, synapse.operands[0]) for synapse in _synapses(graph, node)]
    return []


def _synapses(graph: Graph, node: Node) -> list[Node]:
    found = (graph.producer(operand) for operand in node.operands)
    return [synapse for synapse in found if synapse is not None]


def _timed(node: Node, starts: dict[str, int], graph: Graph, relays: Relays) -> Node:
    begin = starts.get(node.result.name)
    match node.op:
        case Encode() | First() as op:
            return replace(node, op=replace(op, start=begin))
        case Convolve() | Connect() | Relay():
            return relays.delayed(node)
        case Neuron() as op:
            assert begin is not None
            opens = min(map(relays.opening, _synapses(graph, node)))
            return replace(node, op=replace(op, window=(opens, begin, begin + op.t_max - 1)))
    return node
