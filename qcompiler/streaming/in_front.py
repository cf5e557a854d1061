"""What is in front of a state, and takes a factor of each of its elements in.

A factor goes through sums, scales and clips at zero, and through a product to one of its operands.
Functions have a gain for it, and so have products of which neither operand is the one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Affine, Clip, Function, Multiply
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.passes.folding.channel_scales import with_gain
from qcompiler.passes.folding.neighbours import affine, is_ranged, scale_and_shift

Picks = Mapping[str, int]  # by the name of a product, which operand a factor goes to
_GAINED = Function | Multiply


@dataclass(frozen=True)
class Front:
    """The ``layer`` that computes a state, and the ``nodes`` that a factor goes through before it.

    Of some values, what has the factor is ``known``.
    """

    layer: Node
    nodes: tuple[Node, ...]
    picks: Picks
    known: Mapping[Value, Value]

    @classmethod
    def of(cls, graph: Graph, layer: Node, picks: Picks, known: Mapping[Value, Value]) -> Front:
        """What nothing else reads, in order."""
        front = cls(layer, (), picks, known)
        within, read = {layer.result.name: layer}, set(front.carried(layer))
        found: list[Node] = []
        for inner in reversed(graph.nodes):
            value = inner.result
            if value not in read - known.keys() or graph.is_output(value) or not takes_in(inner):
                continue
            users = [within.get(user.result.name) for user in graph.users(value)]
            if all(user and front._only_carries(user, value) for user in users):
                found.insert(0, inner)
                within[value.name] = inner
                read |= set(front.carried(inner))
        return replace(front, nodes=tuple(found))

    @property
    def has_products(self) -> bool:
        """Whether a product is among the nodes."""
        return any(isinstance(node.op, Multiply) for node in (*self.nodes, self.layer))

    def carried(self, node: Node) -> Iterator[Value]:
        """The operands of a node that a factor goes to."""
        values = [operand for operand in node.operands if isinstance(operand, Value)]
        if isinstance(node.op, Multiply):
            picked = self.picks.get(node.result.name)
            yield from () if picked is None else values[picked : picked + 1]
        elif not isinstance(node.op, Function):
            yield from values

    def products(self, graph: Graph, last: Node, result: Value, factor: Array) -> Iterator[Node]:
        """Nodes that compute a factor times what the ``last`` node does, in place of the layer."""
        inner = {node.result for node in self.nodes}
        read = dict.fromkeys(one for node in (*self.nodes, last) for one in self.carried(node))
        times = dict(self.known)
        for one in read:
            if one not in times:
                times[one] = Value(graph.fresh(f"{one.name}:times"), one.type.layout)
                if one not in inner:
                    yield affine(one, factor, 0 * factor, times[one], last.origin)
        times[last.result] = result
        yield from (self._product(node, times, factor) for node in (*self.nodes, last))

    def _product(self, node: Node, times: Mapping[Value, Value], factor: Array) -> Node:
        """A node that reads what has a factor, and computes what has it."""
        read = {one: times[one] for one in self.carried(node)}
        if isinstance(node.op, Affine):
            scale, shift = (expand_to_rank(array, factor.ndim) for array in scale_and_shift(node))
            (source,) = read.values()
            return affine(source, scale, shift * factor, times[node.result], node.origin)
        operands = (read.get(one, one) if isinstance(one, Value) else one for one in node.operands)
        made = replace(node, operands=tuple(operands), result=times[node.result])
        if not isinstance(node.op, _GAINED):
            return made
        gain, *added = node.arrays or (np.ones((), np.float32),)
        return with_gain(made, gain if read else gain * factor, *(one * factor for one in added))

    def _only_carries(self, node: Node, value: Value) -> bool:
        alone = isinstance(node.op, Add) or list(node.operands).count(value) == 1
        return alone and value in set(self.carried(node))


def takes_in(node: Node) -> bool:
    """Whether a node can compute a factor times what it does."""
    values = [operand for operand in node.operands if isinstance(operand, Value)]
    alike = all(one.type.shape == node.result.type.shape for one in values)
    known = isinstance(node.op, Add | Affine | _GAINED)
    known = known or node.op in (Clip(0.0), Clip(None, 0.0))
    return alike and known and not is_ranged(node.result)
