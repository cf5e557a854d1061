"""Give what a sum of values is computed of to its readers, where that is cheap.

A sum of clips or gates, or a residual stream, needs no population if only linear layers, other sums
and clips read it: each of them sums the parts itself. That takes synapses, and saves the neurons, a
window, and the rounding of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value, drop_dead, infer, rewrite
from qcompiler.ir import size
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, SumPool
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.view import View, arrange
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.linear import (
    elements_summed,
    fan_in_of,
    parameters,
    per_channel,
    replace_weights,
)
from qcompiler.passes.folding.neighbours import affine, distribute_over_sum, only_producer
from qcompiler.passes.quantization.fusion_groups import Branch, FusionGroup, fusion_groups

from .resolution import Resolution

_WORTH = 1024  # synapses that may replace a neuron and its share of a window


class _Site(NamedTuple):
    """A reader of a value, and the views between."""

    views: tuple[Node, ...]
    node: Node


def inline_sums(graph: Graph, limits: Resolution, fan_in: int = 0) -> Graph:
    """Remove the populations of sums whose readers can sum their parts.

    Readers sum at most ``fan_in`` elements (0: no limit), and weights must hold what they add.
    ``limits`` has the levels and the largest weight; its graph is not read.
    """
    banned: set[str] = set()
    while True:
        chosen = _chosen(graph, banned, fan_in)
        if not chosen:
            return graph
        tried = _simplified(_Inliner(graph, chosen).rewritten())
        before = _too_steep(graph, limits)
        found = _too_steep(tried, limits)
        steep = [group for name, group in found.items() if name not in before]
        if not steep:
            graph = tried
            continue
        sources = {name for group in steep for name in _sources(tried, group)}
        guilty = {name for name, group in chosen.items() if sources & _sources(graph, group)}
        banned |= guilty or set(chosen)


def _sources(graph: Graph, group: FusionGroup) -> set[str]:
    """Names of the populations that a group reads."""
    return {_root(graph, branch.source).name for branch in group.branches}


def _simplified(graph: Graph) -> Graph:
    return drop_dead(rewrite(graph, *SUMS, pixelwise_into_pixelwise, _scale_before_views))


def _chosen(graph: Graph, banned: set[str], fan_in: int) -> dict[str, FusionGroup]:
    """Groups to inline, none of which reads another."""
    found: dict[str, FusionGroup] = {}
    groups = {node.result.name: g for g in fusion_groups(graph) for node in g.nodes}
    for group in dict.fromkeys(groups.values()):
        name = group.result.name
        if group.clip or group.gain or name in banned or graph.is_output(group.result):
            continue
        sites = _sites(graph, group.result)
        if not sites or not _has_parts(group, sites):
            continue
        if any(_root(graph, branch.source).name in found for branch in group.branches):
            continue
        if _pays(group, sites, groups, fan_in):
            found[name] = group
    return found


def _root(graph: Graph, value: Value) -> Value:
    made = graph.producer(value)
    while made is not None and isinstance(made.op, View):
        assert isinstance(made.operands[0], Value)
        value = made.operands[0]
        made = graph.producer(value)
    return value


def _sites(graph: Graph, value: Value, views: tuple[Node, ...] = ()) -> list[_Site] | None:
    """The readers of a value behind views; None if one of them needs its population."""
    found: list[_Site] = []
    for user in graph.users(value):
        if isinstance(user.op, View):
            inner = None if graph.is_output(user.result) else _sites(
                graph, user.result, (*views, user)
            )
            if inner is None:
                return None
            found += inner
        elif parameters(user) is not None or isinstance(user.op, SumPool | Affine | Add | Clip):
            found.append(_Site(views, user))
        else:
            return None
    return found


def _has_parts(group: FusionGroup, sites: list[_Site]) -> bool:
    """Whether the branches of a group can stand in front of its readers."""
    return all(
        _is_scale(branch) or _suits(branch, site) for branch in group.branches for site in sites
    )


def _is_scale(branch: Branch) -> bool:
    """Whether a branch is a value, or one number times a value and another number."""
    node = branch.linear
    if node is None:
        return True
    return isinstance(node.op, Affine) and all(array.size == 1 for array in node.arrays)


def _suits(branch: Branch, site: _Site) -> bool:
    """Whether a layer and a reader of its result become one layer."""
    node, reader = branch.linear, site.node
    assert node is not None
    if isinstance(node.op, Affine):
        scale, shift = (arranged(a, node.result.type.shape, site.views) for a in node.arrays)
        shape = reader.operands[0].type.shape
        return not isinstance(reader.op, Conv | SumPool) or (
            per_channel(scale, shape) is not None and per_channel(shift, shape) is not None
        )
    if site.views or not (parameters(node) or isinstance(node.op, SumPool)):
        return False
    if isinstance(reader.op, Affine):
        return per_channel(reader.arrays[0], reader.result.type.shape) is not None
    return isinstance(reader.op, Add | Clip) or (is_pixelwise(reader) and is_pixelwise(node))


def arranged(array: Array, shape: tuple[int, ...], views: tuple[Node, ...]) -> Array:
    """A constant that spreads over a value, behind views; its equal axes have length 1."""
    full = np.broadcast_to(expand_to_rank(array, len(shape)), shape)[None]
    for view in views:
        full = arrange(view.op, full, *view.arrays)
    found = full[0]
    for axis in range(found.ndim):
        first = found.take([0], axis)
        found = first if np.array_equal(np.broadcast_to(first, found.shape), found) else found
    return found


def is_pixelwise(node: Node) -> bool:
    """Whether a convolution sums the channels of each pixel."""
    if not isinstance(node.op, Conv) or node.op.groups != 1 or parameters(node) is None:
        return False
    kernel, op = node.operands[1].type.shape[2:], node.op
    return not any(op.pads) and prod(kernel) == 1 and prod(op.strides) == 1


def _pays(
    group: FusionGroup, sites: list[_Site], groups: dict[str, FusionGroup], fan_in: int
) -> bool:
    before = fan_in_of(group) * size(group.result.type)
    after = 0
    for site in sites:
        own = elements_summed(site.node)
        if is_pixelwise(site.node) and any(b.linear and is_pixelwise(b.linear) for b in group.branches):
            summed = fan_in_of(group)
        else:
            summed = own * fan_in_of(group)
        reader = groups.get(site.node.result.name)
        whole = summed + (fan_in_of(reader) - own if reader else 0)
        if 0 < fan_in < whole:
            return False
        after += (summed - own) * size(site.node.result.type)
    return after - before <= _WORTH * size(group.result.type)


def _too_steep(graph: Graph, limits: Resolution) -> dict[str, FusionGroup]:
    """The populations whose weights would have to be larger than they can be."""
    here = replace(limits, graph=graph)
    return {g.result.name: g for g in fusion_groups(graph) if not here.holds(g)}


def pixelwise_into_pixelwise(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Two layers that sum the channels of each pixel are one."""
    inner = only_producer(node, graph, Conv)
    if inner is None or not is_pixelwise(node) or not is_pixelwise(inner):
        return None
    (outer_weight, outer_bias), found = node.arrays, inner.arrays
    matrix = outer_weight.reshape(outer_weight.shape[:2]).astype(np.float64)
    kernel = found[0].reshape(found[0].shape[:2]).astype(np.float64)
    shift = np.tensordot(matrix, found[1].astype(np.float64), 1) + outer_bias
    weight = (matrix @ kernel).reshape(len(matrix), kernel.shape[1], *found[0].shape[2:])
    return (replace(replace_weights(inner, inner.operands[0], weight, shift, node)),)


def _scale_before_views(node: Node, graph: Graph) -> tuple[Node, ...] | None:
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


class _Inliner:
    """Rewrites a graph in which some groups, by name, are given to their readers."""

    def __init__(self, graph: Graph, chosen: dict[str, FusionGroup]) -> None:
        self.graph, self.chosen, self.made = graph, chosen, 0

    def rewritten(self) -> Graph:
        """The graph; the groups are left without readers."""
        nodes = [new for node in self.graph.nodes for new in self._rewrite(node)]
        return drop_dead(replace(self.graph, nodes=tuple(nodes)))

    def _rewrite(self, node: Node) -> Iterator[Node]:
        if isinstance(node.op, View):
            yield node
            return
        parts: list[tuple[Operand, ...]] = []
        for operand in node.operands:
            parts.append((operand,))
            base = _root(self.graph, operand) if isinstance(operand, Value) else operand
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
            yield from distribute_over_sum(_as_conv(node), parts[0], lambda _: self._name(node))

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
                linear = _as_conv(linear)
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

    def _node(self, op: object, operands: tuple[Operand, ...], like: Node) -> Node:
        type_ = infer(op, operands, like.origin)  # type: ignore[arg-type]
        assert isinstance(type_, Tensor)
        return Node(op, operands, Value(self._name(like), type_), like.origin)  # type: ignore[arg-type]

    def _name(self, like: Node) -> str:
        self.made += 1
        return self.graph.fresh(f"{like.result.name}:part{self.made}")


def _as_conv(node: Node) -> Node:
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
