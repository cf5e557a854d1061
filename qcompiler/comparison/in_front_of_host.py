"""The values that layers compute, in front of what the host makes of them for outputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from math import prod

import numpy as np

from qcompiler.ir import Graph, Value
from qcompiler.ir.ann import ArgMax, Concat, Fill, Lookup, OnHost, Rescale, Softmax, TopK
from qcompiler.ir.view import View


def comparable(real: Graph, spiking: Graph, theirs: Value, ours: Value) -> tuple[Value, Value]:
    """The values of an output to compare: in front of the host, if both graphs leave it to that.

    A program may leave more to the host than the model's graph says: the softmax of two classes.
    """
    before = _in_front_of_host(real, theirs), _in_front_of_host(spiking, ours)
    if not any(isinstance(op, Softmax) for op in _on_host(real, theirs)):
        before = before[0], _in_front_of_host(spiking, ours, Softmax)
    both = before[0].name != theirs.name and before[1].name != ours.name
    return before if both else (theirs, ours)


def is_computed(graph: Graph, value: Value) -> bool:
    """Whether a value comes from layers, without indices and constants of the host."""
    node = graph.producer(value)
    if node is None or isinstance(node.op, ArgMax | Fill | Lookup):
        return node is None
    if isinstance(node.op, TopK) and node.op.indices:
        return False
    if not isinstance(node.op, Concat | Rescale | Softmax | TopK | View):
        return True
    sources = (operand for operand in node.operands if isinstance(operand, Value))
    return all(is_computed(graph, source) for source in sources)


def _in_front_of_host(graph: Graph, value: Value, kept: type | None = None) -> Value:
    """What the first operation of the host in front of an output reads; or the output.

    The host's operations in front of one of a ``kept`` kind, and that itself, count as computed.
    """
    found = value
    for at in _chain(graph, value):
        node = graph.producer(at)
        if node is not None and isinstance(node.op, OnHost):
            if kept is not None and isinstance(node.op, kept):
                break
            (found,) = (o for o in node.operands[:1] if isinstance(o, Value))
    return found


def _on_host(graph: Graph, value: Value) -> Iterator[object]:
    """What the host computes of a value in front of an output, from the output back."""
    made = (graph.producer(at) for at in _chain(graph, value))
    return (node.op for node in made if node is not None)


def rescaled(graph: Graph, name: str) -> float:
    """How many times as large the host makes what an output was compared as when compiled.

    The codes of probabilities are as many times as large as these.
    """
    values = dict(zip(graph.output_names, graph.outputs, strict=True))
    if name not in values:
        return 1.0
    made = (graph.producer(at) for at in _chain(graph, values[name]))
    nodes = list(takewhile(lambda node: node and not isinstance(node.op, OnHost), made))
    factors = [node.arrays[1] for node in nodes if node and isinstance(node.op, Rescale)]
    return float(prod(np.abs(factor).mean() for factor in factors))


def is_softmax(graph: Graph, value: Value, scores: Value) -> bool:
    """Whether an output holds the probabilities that softmaxes of the host make of its scores."""
    chain = list(_chain(graph, value))
    nodes = [graph.producer(one) for one in chain[: chain.index(scores)]]
    return bool(nodes) and all(node and isinstance(node.op, Softmax | View) for node in nodes)


def _chain(graph: Graph, value: Value) -> Iterator[Value]:
    while True:
        yield value
        node = graph.producer(value)
        if node is None or not isinstance(node.op, OnHost | Rescale | View):
            return
        operand = node.operands[0]
        assert isinstance(operand, Value)
        value = operand
