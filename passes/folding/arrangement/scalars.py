"""Give numbers, of which a layer computes one a sample, an axis of length 1.

Populations have at least one axis.
"""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, Operand, Tensor, Value, drop_dead, infer
from qcompiler.ir.view import Reshape, View


def with_axes(graph: Graph) -> Graph:
    """The same network, whose layers compute vectors of one element instead of single numbers.

    A reshape behind such a layer restores the number for views, and for the network's outputs.
    """
    found = _Numbers(graph)
    nodes = [made for node in graph.nodes for made in found.rewritten(node)]
    if not found.vectors:
        return graph
    outputs = tuple(found.numbers.get(value.name, value) for value in graph.outputs)
    names = graph.output_names
    return drop_dead(replace(graph, nodes=tuple(nodes), outputs=outputs, output_names=names))


class _Numbers:
    """Vectors in place of numbers, by name, and the numbers that are made of these again."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.vectors: dict[str, Value] = {}
        self.numbers: dict[str, Value] = {}

    def rewritten(self, node: Node) -> list[Node]:
        """The nodes that replace one node."""
        if not _computes_number(node):
            operands = tuple(self.numbers.get(operand.name, operand) for operand in node.operands)
            return [replace(node, operands=operands)]
        made = [view for operand in node.operands for view in self._lifted(operand)]
        operands = tuple(self.vectors.get(operand.name, operand) for operand in node.operands)
        vector = Value(node.result.name, replace(node.result.type, shape=(1,)))
        number = self._view(vector, f"{vector.name}:number", ())
        self.vectors[vector.name], self.numbers[vector.name] = vector, number.result
        return [*made, replace(node, operands=operands, result=vector), number]

    def _lifted(self, operand: Operand) -> list[Node]:
        """What makes a vector of an operand, if nothing has so far."""
        if not isinstance(operand, Value) or operand.name in self.vectors:
            return []
        node = self.graph.producer(operand)
        source = node.operands[0] if node and isinstance(node.op, Reshape) else operand
        assert isinstance(source, Value)
        if source.type.shape == (1,):
            self.vectors[operand.name] = source
            return []
        view = self._view(source, f"{operand.name}:vector", (1,))
        self.vectors[operand.name] = view.result
        return [view]

    def _view(self, source: Value, name: str, shape: tuple[int, ...]) -> Node:
        op = Reshape(shape)
        return Node(op, (source,), Value(self.graph.fresh(name), infer(op, (source,))))


def _computes_number(node: Node) -> bool:
    """Whether this is an operation on numbers, other than a view."""
    type_ = node.result.type
    number = isinstance(type_, Tensor) and type_.layout == Tensor(())
    return number and not isinstance(node.op, View)
