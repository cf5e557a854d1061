"""Checks of windows: each population has one, and all spikes for it arrive within."""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.ir.diagnostics import Diagnostic
from qcompiler.ir.graph import Graph, Node
from qcompiler.ir.snn import Clock, Encode, Fanout, First, Neuron, Population

from .integer_network import connection, spikes_of
from .senders import start


def scheduled(graph: Graph) -> Iterator[Diagnostic]:
    """What is wrong with windows."""
    for node in graph.nodes:
        match node.op:
            case Encode(start=None) | Neuron(window=None) | First(start=None):
                yield Diagnostic(
                    f"%{node.result.name} has no window",
                    node.origin,
                    "run assign-windows before this pass",
                )
            case Encode(start=int(begin)) if begin < 0:
                yield Diagnostic(f"%{node.result.name} starts before step 0", node.origin)
            case Neuron() | Population():
                yield from _balanced(graph, node)
            case First():
                expected = (start(graph, node.operands[0]) or 0) + 1
                if node.op.start != expected:
                    yield Diagnostic(
                        f"%{node.result.name} starts at step {node.op.start}, not at {expected}",
                        node.origin,
                    )


def _balanced(graph: Graph, node: Node) -> Iterator[Diagnostic]:
    assert isinstance(node.op, Neuron | Population) and node.op.window is not None
    opens, read, close = node.op.window
    if close - read != node.op.t_max - 1:
        yield Diagnostic(
            f"the output window of %{node.result.name} is not t_max steps long", node.origin
        )
    for current in node.operands:
        synapse = graph.producer(current)
        if synapse is None or isinstance(synapse.op, Fanout | Clock):
            continue
        begin = start(graph, synapse.operands[0])
        if begin is None:
            continue
        begin += connection(synapse).delay
        if begin + 1 < opens or begin + 1 + spikes_of(synapse.operands[0]).top != read:
            yield Diagnostic(
                f"spikes of %{synapse.operands[0].name} do not arrive in the window of "
                f"%{node.result.name}",
                node.origin,
                "run assign-windows before this pass",
            )
