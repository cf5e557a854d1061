"""Which tensor-level nodes one population will do together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Value, origins
from qcompiler.ir.ann import Add, Affine, ArgMax, Clip, Concat, Conv, Dense, Pad, Softmax, SumPool
from qcompiler.ir.view import View

_LINEAR = Conv | Dense | SumPool | Pad | Affine


@dataclass(frozen=True)
class Branch:
    """A linear map of a source; without one the source itself."""

    linear: Node | None
    source: Value


@dataclass(frozen=True)
class FusionGroup:
    """A sum of branches, a positive gain behind it and a clip behind both.

    Sum, gain and clip may be missing. ``nodes`` holds what is there, in order.
    """

    branches: tuple[Branch, ...]
    total: Node | None = None
    gain: Node | None = None
    clip: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The group's nodes, in order."""
        found = (*(b.linear for b in self.branches), self.total, self.gain, self.clip)
        return tuple(node for node in found if node is not None)

    @property
    def result(self) -> Value:
        """The value that the population will code."""
        return self.nodes[-1].result

    @property
    def origin(self) -> tuple[str, ...]:
        """Names of the ONNX nodes behind the group."""
        return origins(*self.nodes)


def fusion_groups(graph: Graph) -> Iterator[FusionGroup]:
    """The populations-to-be of a graph, in order."""
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
    """What a sum, or (without an operand) a clip, takes in."""
    linear = graph.producer(operand) if operand else None
    if linear and isinstance(linear.op, _LINEAR) and graph.only_user(linear.result) is node:
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


def is_network_output(graph: Graph, value: Value) -> bool:
    """Whether a value, or a mere view of it or its maximum's index, is an output of the graph."""
    if graph.is_output(value):
        return True
    host = Softmax | ArgMax | Concat | View
    users = graph.users(value)
    return bool(users) and all(
        isinstance(user.op, host) and is_network_output(graph, user.result) for user in users
    )
