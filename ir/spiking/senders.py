"""Where spikes come from, and what reads them."""

from __future__ import annotations

from qcompiler.ir.graph import Graph, Node, Operand, Value
from qcompiler.ir.snn import Connect, Convolve, Relay, start_of
from qcompiler.ir.view import View


def sender(graph: Graph, operand: Operand) -> Node:
    """The node that sends these spikes, behind views."""
    node = graph.producer(operand)
    while node is not None and isinstance(node.op, View):
        node = graph.producer(node.operands[0])
    if node is None:
        raise TypeError(
            f"%{operand.name} has no sender: it does not come from an encoder, gate or population"
        )
    return node


def start(graph: Graph, operand: Operand) -> int | None:
    """The step at which these spikes start (the highest level); None before scheduling."""
    return start_of(sender(graph, operand).op)


def has_synapses(graph: Graph, value: Value) -> bool:
    """Whether synapses, not only gates and the host, read spikes or a view of them."""
    return any(
        isinstance(user.op, Convolve | Connect | Relay)
        or (isinstance(user.op, View) and has_synapses(graph, user.result))
        for user in graph.users(value)
    )
