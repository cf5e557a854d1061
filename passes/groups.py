"""Which tensor-level nodes one population will do together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Value, origins
from qcompiler.ir.ann import Affine, ArgMax, Clip, Conv, Dense, Pad, Softmax, SumPool
from qcompiler.ir.view import Reshape, Take, Transpose


@dataclass(frozen=True)
class Group:
    """A linear map, a positive gain behind it and a clip behind both; each may be missing.

    Without a linear map the group passes its source on. ``nodes`` holds what is there, in order.
    """

    linear: Node | None
    gain: Node | None
    clip: Node | None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The group's nodes, in order."""
        return tuple(n for n in (self.linear, self.gain, self.clip) if n is not None)

    @property
    def result(self) -> Value:
        """The value that the population will code."""
        return self.nodes[-1].result

    @property
    def origin(self) -> tuple[str, ...]:
        """Names of the ONNX nodes behind the group."""
        return origins(*self.nodes)


def groups(graph: Graph) -> Iterator[Group]:
    """The populations-to-be of a graph, in order."""
    taken: set[str] = set()
    for node in graph.nodes:
        if node.result.name in taken:
            continue
        group = _group(graph, node)
        if group is not None:
            taken.update(member.result.name for member in group.nodes)
            yield group


def _group(graph: Graph, node: Node) -> Group | None:
    if isinstance(node.op, Clip):
        return Group(None, None, node)
    if not isinstance(node.op, Conv | Dense | SumPool | Pad | Affine):
        return None
    gain = None if isinstance(node.op, Affine) else _next(graph, node, Affine)
    if gain is not None and not _positive(gain):
        gain = None
    return Group(node, gain, _next(graph, gain or node, Clip))


def _next(graph: Graph, node: Node, kind: type) -> Node | None:
    user = graph.only_user(node.result)
    return user if user is not None and isinstance(user.op, kind) else None


def _positive(gain: Node) -> bool:
    scale = gain.operands[1]
    return isinstance(scale, Constant) and bool(np.min(scale.data) > 0)


def is_last(graph: Graph, value: Value) -> bool:
    """Whether a value, or a mere view of it or its maximum's index, is an output of the graph."""
    if graph.is_output(value):
        return True
    host = (Softmax, ArgMax, Reshape, Transpose, Take)
    users = graph.users(value)
    return bool(users) and all(
        isinstance(user.op, host) and is_last(graph, user.result) for user in users
    )
