"""The logits behind a network's predictions: what the host reads before softmax and argmax."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, Value, drop_dead, infer
from qcompiler.ir.ann import Concat, OnHost
from qcompiler.ir.types import size
from qcompiler.ir.view import Reshape, View


def logits(graph: Graph, value: Value, *views: type) -> tuple[Value, ...]:
    """The values before softmax, argmax, what arranges their results, and these kinds of views.

    Several values if the host concatenates the results of several softmax.
    """
    node = graph.producer(value)
    if node is None or not (isinstance(node.op, views) or _behind_softmax(graph, value)):
        return (value,)
    sources = (operand for operand in node.operands if isinstance(operand, Value))
    return tuple(dict.fromkeys(one for source in sources for one in logits(graph, source, *views)))


def _behind_softmax(graph: Graph, value: Value) -> bool:
    """Whether a value is the result of softmax or argmax, or arranges one."""
    node = graph.producer(value)
    if node is None or not isinstance(node.op, OnHost | View | Concat):
        return False
    if isinstance(node.op, OnHost):
        return True
    return any(_behind_softmax(graph, o) for o in node.operands if isinstance(o, Value))


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
