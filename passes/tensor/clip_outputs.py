"""Clip the logits, so that fewer levels distinguish the largest from the others.

Two things do not matter for the predicted class: the exact values of logits below every winning
one, and by how much a winner exceeds every runner-up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Affine, Clip, Concat, Conv, Dense, OnHost, SumPool
from qcompiler.ir.view import Reshape, View
from qcompiler.passes.base import Pass, check_bounds
from qcompiler.passes.quantization.logits import logits


@dataclass(frozen=True)
class ClipOutputs(Pass):
    """Clip outputs of which only the largest counts.

    The clip ``low .. high`` goes before softmax and argmax. With ``low == high`` nothing changes.
    Outputs that do not come from a linear layer or a clip stay as they are.
    """

    name: ClassVar[str] = "clip-outputs"
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        check_bounds(self.low, self.high)

    def __call__(self, graph: Graph) -> Graph:
        """Insert a clip behind the layer that computes each output."""
        if self.low == self.high:
            return graph
        made = {end.name for value in graph.outputs for end in logits(graph, value, Reshape)}
        nodes: list[Node] = []
        for node in graph.nodes:
            clips = node.result.name in made and _only_output(graph, node.result)
            nodes += self._clipped(graph, node) if clips else [node]
        return graph if nodes == list(graph.nodes) else replace(graph, nodes=tuple(nodes))

    def _clipped(self, graph: Graph, node: Node) -> list[Node]:
        match node.op:
            case Clip(low, high):
                lowest = self.low if low is None else max(low, self.low)
                highest = self.high if high is None else min(high, self.high)
                kept = lowest < highest
                return [replace(node, op=Clip(lowest, highest))] if kept else [node]
            case Conv() | Dense() | Add() | Affine() | SumPool():
                whole = Value(graph.fresh(f"{node.result.name}:whole"), node.result.type.layout)
                clip = Node(Clip(self.low, self.high), (whole,), node.result, node.origin)
                return [replace(node, result=whole), clip]
        return [node]


def _only_output(graph: Graph, value: Value) -> bool:
    return all(
        isinstance(user.op, OnHost | Concat | View) and _only_output(graph, user.result)
        for user in graph.users(value)
    )
