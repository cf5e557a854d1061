"""The logits behind a network's predictions."""

from __future__ import annotations

from qcompiler.ir import Graph, Value
from qcompiler.ir.ann import OnHost


def logits(graph: Graph, value: Value, *views: type) -> Value:
    """The value before softmax, argmax and the given kinds of views."""
    node = graph.producer(value)
    while node is not None and isinstance(node.op, (OnHost, *views)):
        value = node.operands[0]  # type: ignore[assignment]
        node = graph.producer(value)
    return value
