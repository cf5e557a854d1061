"""Helpers of rewrite rules: query a node's neighbours, build and copy nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Type, Value
from qcompiler.ir.ann import Add, Affine
from qcompiler.ir.kernels import Array, expand_to_rank

_MOVED = re.compile(r"(:moved(\.\d+)?)+$")


def only_producer(node: Node, graph: Graph, kinds: Any) -> Node | None:
    """The producer of the node's first operand, if it is of a kind and only this node reads it."""
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, kinds):
        return None
    return inner if graph.only_user(inner.result) is node else None


def is_ranged(value: Operand) -> bool:
    """Whether a value has a range."""
    return isinstance(value.type, Tensor) and value.type.range is not None


def scale_and_shift(node: Node) -> tuple[Array, Array]:
    """The constants of an affine map."""
    scale, shift = node.arrays
    return scale, shift


def is_of_channels(array: Array, rank: int) -> bool:
    """Whether a constant beside a value of this rank is the same all over each channel."""
    return all(length == 1 for length in expand_to_rank(array, rank).shape[1:])


def fresh_between(graph: Graph, node: Node, type_: Type, suffix: str = ":moved") -> Value:
    """A fresh value between two nodes that have swapped places."""
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


def copy_nodes(nodes: Sequence[Node], rename: Callable[[str], str]) -> list[Node]:
    """Copy nodes under other names; copies read each other."""
    renamed: dict[str, Operand] = {}
    made: list[Node] = []
    for node in nodes:
        operands = tuple(renamed.get(operand.name, operand) for operand in node.operands)
        result = replace(node.result, name=rename(node.result.name))
        renamed[node.result.name] = result
        made.append(replace(node, operands=operands, result=result))
    return made


def distribute_over_sum(
    node: Node, operands: Sequence[Operand], rename: Callable[[int], str]
) -> tuple[Node, ...]:
    """Distribute a linear node over a sum: apply it to each operand and add the results.

    The first keeps the bias; ``rename`` names the result of each, by index.
    """
    parts = []
    for index, operand in enumerate(operands):
        result = Value(rename(index), node.result.type.layout)
        part = replace(node, operands=(operand, *node.operands[1:]), result=result)
        parts.append(without_bias(part) if index else part)
    results = tuple(part.result for part in parts)
    return (*parts, replace(node, op=Add(), operands=results))


def without_bias(node: Node) -> Node:
    """A linear node with a bias, or shift, of zero; one that has none stays."""
    last = node.operands[-1]
    return with_bias(node, np.zeros_like(last.data)) if isinstance(last, Constant) else node


def with_bias(node: Node, bias: Array) -> Node:
    """A linear node with another bias, or shift."""
    constant = Constant(f"{node.result.name}:bias", bias)
    return replace(node, operands=(*node.operands[:-1], constant))
