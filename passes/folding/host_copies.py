"""A value that layers and the host read is computed twice: each copy has a code of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Value
from qcompiler.ir.ann import Affine, Concat, OnHost, Rescale
from qcompiler.ir.view import View
from qcompiler.passes.quantization.fusion_groups import is_network_output

from .neighbours import affine

_HOST = Rescale | OnHost | Concat


def host_copy_name(name: str) -> str:
    """Name of the copy of a value that the host reads."""
    return f"{name}:host"


def with_host_copy(graph: Graph, value: Value) -> Graph:
    """The graph in which the host reads a copy of a value, through views of its own."""
    return _Copier(graph, value).rewritten()


def is_host_copy(graph: Graph, node: Node) -> bool:
    """Whether a node copies a value for the host; `lower-activations` copies its layer."""
    if not isinstance(node.op, Affine) or not is_network_output(graph, node.result):
        return False
    scale, shift = node.arrays
    return bool(np.all(scale == 1) and not np.any(shift))


def reads_on_host(graph: Graph, value: Value) -> bool:
    """Whether a value, or a view of it, is an output or an operand of what the host computes."""
    return graph.is_output(value) or any(
        isinstance(user.op, _HOST)
        or (isinstance(user.op, View) and reads_on_host(graph, user.result))
        for user in graph.users(value)
    )


class _Copier:
    def __init__(self, graph: Graph, value: Value) -> None:
        self.graph, self.value = graph, value
        self.copies: dict[str, Value] = {}  # what the host reads instead, by name

    def rewritten(self) -> Graph:
        nodes = tuple(new for node in self.graph.nodes for new in self.node(node))
        outputs = tuple(self.copies.get(value.name, value) for value in self.graph.outputs)
        return replace(self.graph, nodes=nodes, outputs=outputs)

    def node(self, node: Node) -> Iterator[Node]:
        copied = any(operand.name in self.copies for operand in node.operands)
        if copied and isinstance(node.op, _HOST):
            yield self.moved(node, node.result)
            return
        yield node
        if node.result == self.value:
            one = np.ones((1,) * len(self.value.type.shape), np.float32)
            copy = self.copy(self.value)
            yield affine(self.value, one, 0 * one, copy, node.origin)
        elif copied and isinstance(node.op, View) and reads_on_host(self.graph, node.result):
            yield self.moved(node, self.copy(node.result))

    def copy(self, value: Value) -> Value:
        copy = replace(value, name=self.graph.fresh(host_copy_name(value.name)))
        self.copies[value.name] = copy
        return copy

    def moved(self, node: Node, result: Value) -> Node:
        operands: list[Operand] = [self.copies.get(o.name, o) for o in node.operands]
        return replace(node, operands=tuple(operands), result=result)
