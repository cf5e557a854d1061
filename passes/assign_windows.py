"""Give every population its window: it listens while its sources speak, and answers next.

A spike takes one step to the next population. Windows follow from longest paths over the graph of
populations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import networkx

from qcompiler.ir import Graph, Invariant, Node, Value
from qcompiler.ir.integer import sender, spikes_of, spiking_nodes
from qcompiler.ir.invariants import SCHEDULED, SPIKING
from qcompiler.ir.snn import Encode, First, Neuron

from .base import Pass


@dataclass(frozen=True)
class AssignWindows(Pass):
    """Set the window of every neuron and the start of every encoder and first-spike gate."""

    name: ClassVar[str] = "assign-windows"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING,)
    establishes: ClassVar[tuple[Invariant, ...]] = (SCHEDULED,)

    def __call__(self, graph: Graph) -> Graph:
        """Longest path to every population, then windows along it."""
        starts = _starts(graph)
        nodes = tuple(_timed(node, starts, graph) for node in graph.nodes)
        return replace(graph, nodes=nodes)


def _starts(graph: Graph) -> dict[str, int]:
    """The step at which the highest level of each population leaves."""
    paths: networkx.DiGraph[str] = networkx.DiGraph()
    for node in spiking_nodes(graph):
        paths.add_node(node.result.name)
        for source in _sources(graph, node):
            delay = 1 if isinstance(node.op, First) else 1 + spikes_of(source.result).top
            paths.add_edge(source.result.name, node.result.name, delay=delay)
    starts: dict[str, int] = {}
    for name in networkx.topological_sort(paths):
        edges = paths.in_edges(name, data="delay")
        starts[name] = max((starts[source] + delay for source, _, delay in edges), default=0)
    return starts


def _sources(graph: Graph, node: Node) -> list[Node]:
    if isinstance(node.op, Encode):
        return []
    if isinstance(node.op, First):
        return [sender(graph, node.operands[0])]
    synapses = (graph.producer(o) for o in node.operands if isinstance(o, Value))
    return [sender(graph, synapse.operands[0]) for synapse in synapses if synapse]


def _timed(node: Node, starts: dict[str, int], graph: Graph) -> Node:
    begin = starts.get(node.result.name)
    match node.op:
        case Encode() | First() as op:
            return replace(node, op=replace(op, start=begin))
        case Neuron() as op:
            assert begin is not None
            opens = min(starts[source.result.name] for source in _sources(graph, node)) + 1
            return replace(node, op=replace(op, window=(opens, begin, begin + op.t_max - 1)))
    return node
