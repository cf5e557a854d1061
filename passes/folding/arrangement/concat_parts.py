"""Builds the nodes that replace a reader of a concatenation."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from qcompiler.ir import Graph, Node, Op, Operand, Value, infer, origins
from qcompiler.ir.ann import Clip, Concat, Pad
from qcompiler.passes.folding.clips import is_code


class ConcatRewriter:
    """Collects the nodes that replace one reader of a concatenation."""

    def __init__(self, graph: Graph, node: Node, inner: Node) -> None:
        assert isinstance(inner.op, Concat)
        self.graph, self.node, self.axis = graph, node, inner.op.axis
        self.parts = inner.operands
        self.shape = inner.result.type.shape
        self.origin = origins(inner, node)
        self.nodes: list[Node] = []
        lengths = [part.type.shape[self.axis] for part in self.parts]
        self.ends = list(accumulate(lengths))
        self.begins = [0, *self.ends[:-1]]

    def add(self, op: Op, *operands: Operand, origin: tuple[str, ...] | None = None) -> Value:
        """Append a node."""
        name = self.graph.fresh(f"{self.node.result.name}:part{len(self.nodes) + 1}")
        found = self.node.origin if origin is None else origin
        result = Value(name, infer(op, operands, found))
        if isinstance(op, Clip) and is_code(self.node.result):
            type_ = replace(self.node.result.type, shape=result.type.shape)
            result = Value(name, type_)
        self.nodes.append(Node(op, operands, result, found))
        return result

    def done(self, op: Op, *operands: Operand) -> tuple[Node, ...]:
        """Append the last node, which has the result of the replaced node; returns all nodes."""
        last = Node(op, operands, self.node.result, self.origin)
        return (*self.nodes, last)

    def padded(self) -> list[Value]:
        """Every part, padded with zeros to the shape of the concatenation."""
        found = []
        for part, begin, end in zip(self.parts, self.begins, self.ends, strict=True):
            pads = [0] * (2 * len(self.shape))
            pads[self.axis] = begin
            pads[len(self.shape) + self.axis] = self.shape[self.axis] - end
            found.append(self.add(Pad(tuple(pads)), part, origin=self.origin))
        return found
