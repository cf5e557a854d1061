"""Outputs that are a state itself, or an arrangement of its elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.view import Reshape, View

Views = Mapping[str, Sequence[Node]]  # from a state to an output, by the name of that


def views_of(graph: Graph, state: State, states: Sequence[State]) -> Views:
    """The outputs that belong to no other state, and how they arrange the elements of this one."""
    named = dict(zip(graph.output_names, graph.outputs, strict=True))
    others = {other.output for other in states} - {state.output}
    whole = named[state.output]
    found = {name: _views(graph, whole, named[name]) for name in named if name not in others}
    return {name: nodes for name, nodes in found.items() if nodes is not None}


def with_views(graph: Graph, views: Views, value: Value) -> Graph:
    """The graph whose outputs of these names are a value, arranged as they were."""
    nodes, outputs = list(graph.nodes), list(graph.outputs)
    for name, chain in views.items():
        last = value
        for node in chain:
            result = Value(graph.fresh(f"{name}:view{len(nodes)}"), node.result.type.layout)
            nodes.append(replace(node, operands=(last, *node.operands[1:]), result=result))
            last = result
        outputs[graph.output_names.index(name)] = last
    return replace(graph, nodes=tuple(nodes), outputs=tuple(outputs))


def _views(graph: Graph, whole: Value, value: Value) -> list[Node] | None:
    """The views of a value that another one is; None if it is none.

    Two shapes of the same elements are views of each other.
    """
    if _flat(graph, value) == _flat(graph, whole):
        shape = value.type.shape
        return [] if shape == whole.type.shape else [Node(Reshape(shape), (whole,), value)]
    node = graph.producer(value)
    if node is None or not isinstance(node.op, View):
        return None
    inner = node.operands[0]
    assert isinstance(inner, Value)
    before = _views(graph, whole, inner)
    return None if before is None else [*before, node]


def _flat(graph: Graph, value: Value) -> Value:
    """What a value is another shape of."""
    while (node := graph.producer(value)) is not None and isinstance(node.op, Reshape):
        (value,) = (one for one in node.operands if isinstance(one, Value))
    return value
