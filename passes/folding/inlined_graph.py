"""A graph in which the readers of some sums read their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Tensor, Value, infer
from qcompiler.ir.ann import Add, Affine, Clip, Conv, SumPool
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.view import View, arrange
from qcompiler.passes.quantization.fusion_groups import Branch, FusionGroup

from .neighbours import affine, distribute_over_sum, only_producer


def root(graph: Graph, value: Value) -> Value:
    """What a value is a view of, at worst itself."""
    made = graph.producer(value)
    while made is not None and isinstance(made.op, View):
        assert isinstance(made.operands[0], Value)
        value = made.operands[0]
        made = graph.producer(value)
    return value


def is_scale(branch: Branch) -> bool:
    """Whether a branch is a value, or one number times a value and another number."""
    node = branch.linear
    if node is None:
        return True
    return isinstance(node.op, Affine) and all(array.size == 1 for array in node.arrays)


def arranged(array: Array, shape: tuple[int, ...], views: tuple[Node, ...]) -> Array:
    """A constant that spreads over a value, behind views; its equal axes have length 1."""
    full = np.broadcast_to(expand_to_rank(array, len(shape)), shape)[None]
    for view in views:
        assert isinstance(view.op, View)
        full = arrange(view.op, full, *view.arrays)
    found: Array = full[0]
    for axis in range(found.ndim):
        first = found.take([0], axis)
        found = first if np.array_equal(np.broadcast_to(first, found.shape), found) else found
    return found


def scale_before_views(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """One number for all elements multiplies them in front of views, too."""
    inner = only_producer(node, graph, View)
    if not isinstance(node.op, Affine) or inner is None or any(a.size > 1 for a in node.arrays):
        return None
    x, type_ = inner.operands[0], node.result.type
    made = graph.producer(x)
    ones = (1,) * len(x.type.shape)
    assert isinstance(type_, Tensor)
    if type_.range is None or made is None or not isinstance(made.op, Add | Conv | SumPool):
        return None
    before = Value(graph.fresh(f"{node.result.name}:moved"), replace(type_, shape=x.type.shape))
    scale, shift = (array.reshape(ones) for array in node.arrays)
    return (
        affine(x, scale, shift, before, node.origin),
        replace(inner, operands=(before, *inner.operands[1:]), result=node.result),
    )


class Inliner:
    """Rewrites a graph in which some groups, by name, are given to their readers."""

    def __init__(self, graph: Graph, chosen: Mapping[str, FusionGroup]) -> None:
        self.graph, self.chosen, self.made = graph, chosen, 0

    def rewritten(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """Some nodes of the graph; they no longer read the groups."""
        return tuple(new for node in nodes for new in self._rewrite(node))

    def _rewrite(self, node: Node) -> Iterator[Node]:
        if isinstance(node.op, View):
            yield node
            return
        parts: list[tuple[Operand, ...]] = []
        for operand in node.operands:
            parts.append((operand,))
            base = root(self.graph, operand) if isinstance(operand, Value) else operand
            if base.name in self.chosen and isinstance(operand, Value):
                terms = list(self._terms(self.chosen[base.name], operand))
                yield from terms
                parts[-1] = tuple(term.result for term in self._last(terms))
        if isinstance(node.op, Add):
            yield replace(node, operands=tuple(one for some in parts for one in some))
        elif len(parts[0]) == 1:
            yield replace(node, operands=(*parts[0], *node.operands[1:]))
        elif isinstance(node.op, Clip):
            total = self._node(Add(), parts[0], node)
            yield from (total, replace(node, operands=(total.result, *node.operands[1:])))
        else:
            yield from distribute_over_sum(as_conv(node), parts[0], lambda _: self._name(node))

    def _last(self, terms: list[Node]) -> list[Node]:
        read = {operand.name for term in terms for operand in term.operands}
        return [term for term in terms if term.result.name not in read]

    def _terms(self, group: FusionGroup, operand: Value) -> Iterator[Node]:
        """The branches of a group, arranged as an operand is."""
        views: list[Node] = []
        made = self.graph.producer(operand)
        while made is not None and isinstance(made.op, View):
            views.insert(0, made)
            made = self.graph.producer(made.operands[0])
        for branch in group.branches:
            value, linear = branch.source, branch.linear
            if linear is not None and not isinstance(linear.op, Affine):
                linear = as_conv(linear)
                yield self._node(linear.op, linear.operands, linear)
                continue
            for view in views:
                yield (new := self._node(view.op, (value, *view.operands[1:]), view))
                value = new.result
            shape = branch.source.type.shape
            numbers = linear.arrays if linear else (np.ones(1), np.zeros(1))
            name = self._name(group.nodes[-1])
            constants = (
                Constant(f"{name}:{role}", arranged(array, shape, tuple(views)).astype(np.float32))
                for role, array in zip(("scale", "shift"), numbers, strict=True)
            )
            yield self._node(Affine(), (value, *constants), linear or group.nodes[-1])

    def _node(self, op: Op, operands: tuple[Operand, ...], like: Node) -> Node:
        type_ = infer(op, operands, like.origin)
        assert isinstance(type_, Tensor)
        return Node(op, operands, Value(self._name(like), type_), like.origin)

    def _name(self, like: Node) -> str:
        self.made += 1
        return self.graph.fresh(f"{like.result.name}:part{self.made}")


def as_conv(node: Node) -> Node:
    """A sum over windows as a convolution, which can hold a scale."""
    if not isinstance(node.op, SumPool):
        return node
    op, channels = node.op, node.result.type.shape[0]
    weight = np.ones((channels, 1, *op.kernel), np.float32)
    bias = np.zeros((channels, *(1 for _ in op.kernel)), np.float32)
    name = node.result.name
    constants = Constant(f"{name}:weight", weight), Constant(f"{name}:bias", bias)
    conv = Conv(op.strides, op.pads, op.dilations, channels)
    return replace(node, op=conv, operands=(node.operands[0], *constants))
