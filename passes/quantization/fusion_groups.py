"""Operator fusion: the tensor-level nodes that one population of neurons computes.

A group is a sum of linear branches, an optional gain and an optional clip (the activation).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Value, origins
from qcompiler.ir.ann import (
    Add,
    Affine,
    Clip,
    Concat,
    Conv,
    Dense,
    OnHost,
    Pad,
    Rescale,
    SumPool,
)
from qcompiler.ir.view import View

LINEAR = Conv | Dense | SumPool | Pad | Affine


@dataclass(frozen=True)
class Branch:
    """A linear operator and its source; ``linear`` is None if the source is added as it is."""

    linear: Node | None
    source: Value


@dataclass(frozen=True)
class FusionGroup:
    """A sum of branches, then a positive gain, then a clip.

    Sum, gain and clip are optional. ``nodes`` holds the existing nodes in order.
    """

    branches: tuple[Branch, ...]
    total: Node | None = None
    gain: Node | None = None
    clip: Node | None = None

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The group's nodes, in order."""
        found = (*(b.linear for b in self.branches), self.total, self.gain, self.clip)
        return tuple(node for node in found if node is not None)

    @property
    def result(self) -> Value:
        """The value that the population represents."""
        return self.nodes[-1].result

    @property
    def origin(self) -> tuple[str, ...]:
        """Names of the ONNX nodes behind the group."""
        return origins(*self.nodes)


def fusion_groups(graph: Graph) -> Iterator[FusionGroup]:
    """The fusion groups of a graph, in order; each becomes one population."""
    return iter(graph.known(_groups))


def _groups(graph: Graph) -> tuple[FusionGroup, ...]:
    return tuple(_found(graph))


def _found(graph: Graph) -> Iterator[FusionGroup]:
    taken: set[str] = set()
    for node in graph.nodes:
        if node.result.name in taken:
            continue
        group = _group(graph, node)
        if group is not None:
            taken.update(member.result.name for member in group.nodes)
            yield group


def _group(graph: Graph, node: Node) -> FusionGroup | None:
    match node.op:
        case Clip():
            return FusionGroup((_branch(graph, node, None),), clip=node)
        case Add():
            branches = (_branch(graph, node, operand) for operand in node.operands)
            return _behind(graph, FusionGroup(tuple(branches), node), node)
        case Conv() | Dense() | SumPool() | Pad() | Affine():
            if _next(graph, node, Add):
                return None  # a branch
            return _behind(graph, FusionGroup((Branch(node, _source(node)),)), node)
    return None


def _branch(graph: Graph, node: Node, operand: Operand | None) -> Branch:
    """The branch that an operand of a sum, or (``operand`` None) the input of a clip, is."""
    linear = graph.producer(operand) if operand else None
    if linear and isinstance(linear.op, LINEAR) and graph.only_user(linear.result) is node:
        return Branch(linear, _source(linear))
    value = operand or node.operands[0]
    assert isinstance(value, Value)
    return Branch(None, value)


def _source(node: Node) -> Value:
    source = node.operands[0]
    assert isinstance(source, Value)
    return source


def _behind(graph: Graph, group: FusionGroup, node: Node) -> FusionGroup:
    """The group with the gain and the clip that follow its last node."""
    gain = None if isinstance(node.op, Affine) else _next(graph, node, Affine)
    if gain is not None and (not _positive(gain) or _next(graph, gain, Add)):
        gain = None
    return replace(group, gain=gain, clip=_next(graph, gain or node, Clip))


def _next(graph: Graph, node: Node, kind: type) -> Node | None:
    user = graph.only_user(node.result)
    return user if user is not None and isinstance(user.op, kind) else None


def _positive(gain: Node) -> bool:
    scale = gain.operands[1]
    return isinstance(scale, Constant) and bool(np.min(scale.data) > 0)


def only_decoded(graph: Graph, value: Value) -> bool:
    """Whether the host alone reads a value."""
    users, host = graph.users(value), Rescale | OnHost | Concat | View
    return (bool(users) or graph.is_output(value)) and all(
        isinstance(user.op, host) and only_decoded(graph, user.result) for user in users
    )


def is_network_output(graph: Graph, value: Value) -> bool:
    """Whether a value is an output, possibly behind what the host computes."""
    if graph.is_output(value):
        return True
    host = Rescale | OnHost | Concat | View
    users = graph.users(value)
    return bool(users) and all(
        isinstance(user.op, host) and is_network_output(graph, user.result) for user in users
    )
