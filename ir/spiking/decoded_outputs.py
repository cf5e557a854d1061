"""What is decoded into outputs: whole values, and those that several populations hold in pieces."""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.ir.graph import Graph, Node, Operand, Value
from qcompiler.ir.snn import Decode, First

from .senders import sender


def outputs(graph: Graph) -> tuple[Value, ...]:
    """The spikes that are decoded into tensors."""
    found = (o for n in graph.nodes if isinstance(n.op, Decode) for o in n.operands)
    return tuple(value for value in found if isinstance(value, Value))


def split_outputs(graph: Graph) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """What decodes several pieces, and the population of each, behind views and gates."""
    for node in graph.nodes:
        if isinstance(node.op, Decode) and node.op.places:
            pieces = node.operands[: len(node.op.places)]
            yield node, tuple(_population(graph, operand) for operand in pieces)


def lower_pieces(graph: Graph) -> frozenset[str]:
    """Pieces of outputs whose own saturation does not say that the output saturates.

    The piece of the highest place does, of several the last.
    """
    lower: set[str] = set()
    for node, pieces in split_outputs(graph):
        assert isinstance(node.op, Decode)
        places, names = node.op.places, [piece.result.name for piece in pieces]
        highest = max(range(len(places)), key=lambda at: (places[at], at))
        lower.update(name for name in names if name != names[highest])
    return frozenset(lower)


def _population(graph: Graph, operand: Operand) -> Node:
    node = sender(graph, operand)
    return _population(graph, node.operands[0]) if isinstance(node.op, First) else node
