"""What rules ask about a node's neighbours, and the nodes they put between them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Type, Value
from qcompiler.ir.ann import Affine
from qcompiler.ir.kernels import Array

_MOVED = re.compile(r"(:moved(\.\d+)?)+$")


def sole(node: Node, graph: Graph, kinds: Any) -> Node | None:
    """The producer of the node's first operand, if it is of a kind and only this node reads it."""
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, kinds):
        return None
    return inner if graph.only_user(inner.result) is node else None


def scale_and_shift(node: Node) -> tuple[Array, Array]:
    """The constants of an affine map."""
    scale, shift = node.arrays
    return scale, shift


def between(graph: Graph, node: Node, type_: Type, suffix: str = ":moved") -> Value:
    """A fresh value for what now stands between two exchanged nodes."""
    name = _MOVED.sub("", node.result.name)
    return Value(graph.fresh(name + suffix), type_.layout)


def affine(
    source: Operand, scale: Array, shift: Array, result: Value, origin: tuple[str, ...]
) -> Node:
    """An affine map with these constants."""
    name = result.name
    constants = (
        Constant(f"{name}:scale", scale.astype(np.float32)),
        Constant(f"{name}:shift", shift.astype(np.float32)),
    )
    return Node(Affine(), (source, *constants), result, origin)
