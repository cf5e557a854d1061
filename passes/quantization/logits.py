"""The logits behind a network's predictions: what the host reads before softmax and argmax."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, Value, drop_dead, infer
from qcompiler.ir.ann import Concat, OnHost, Rescale
from qcompiler.ir.types import size
from qcompiler.ir.view import Reshape, View


def logits(graph: Graph, value: Value, *views: type) -> tuple[Value, ...]:
    """The values before softmax, argmax, what arranges their results, and these kinds of views.

    Several values if the host concatenates the results of several softmax.
    """
    behind, left = graph.known(_behind_softmax), [value]
    found: dict[Value, bool] = {}  # whether it is one of them
    while left:
        if (one := left.pop()) in found:
            continue
        node = graph.producer(one)
        found[one] = node is None or not (isinstance(node.op, views) or one.name in behind)
        if node is not None and not found[one]:
            left += (o for o in reversed(node.operands) if isinstance(o, Value))
    return tuple(one for one, last in found.items() if last)


def _behind_softmax(graph: Graph) -> set[str]:
    """The names of all results of softmax and argmax, and of what arranges or rescales these."""
    found: set[str] = set()
    for node in graph.nodes:
        sources = (operand.name for operand in node.operands if isinstance(operand, Value))
        if isinstance(node.op, OnHost) or (
            isinstance(node.op, View | Concat | Rescale) and not found.isdisjoint(sources)
        ):
            found.add(node.result.name)
    return found


def until_logits(graph: Graph) -> Graph:
    """A network of one output that ends before softmax and argmax.

    Several logits become one vector.
    """
    first, *others = logits(graph, graph.outputs[0])
    if not others:
        return drop_dead(replace(graph, outputs=(first,), output_names=()))
    flat = [
        _appended(graph, Reshape((size(one.type),)), one, name=f"{one.name}:flat")
        for one in (first, *others)
    ]
    joined = _appended(graph, Concat(), *(n.result for n in flat), name=f"{first.name}:joined")
    nodes = (*graph.nodes, *flat, joined)
    return drop_dead(replace(graph, nodes=nodes, outputs=(joined.result,), output_names=()))


def _appended(graph: Graph, op: Reshape | Concat, *operands: Value, name: str) -> Node:
    return Node(op, operands, Value(graph.fresh(name), infer(op, operands)))
