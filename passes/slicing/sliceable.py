"""Which values can have slices or digits, and what reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, MaxPool, SumPool
from qcompiler.ir.view import View
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.linear import elements_summed, parameters
from qcompiler.passes.folding.neighbours import affine
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.group_index import group_named, groups_by_node

_FEW_INPUTS = 32


def can_slice(graph: Graph, group: FusionGroup) -> bool:
    """Whether a value can have several replicas, and its readers can read them.

    Its group has a layer or sum, and ends in a ReLU, bounded or not, or in another clip around
    zero, or has none.
    """
    if group.gain or is_code(group.result) or not _around_zero(group.clip):
        return False
    made = group.total or shifted_layer(group)
    return made is not None and _reads_several(graph, group.result)


def _around_zero(clip: Node | None) -> bool:
    """Whether a clip, if there is one, has its bounds around zero, the same for all channels."""
    if clip is None:
        return True
    if not isinstance(clip.op, Clip) or clip.op.nearest:
        return False
    low, high = clip.op.low, clip.op.high
    alike = low == 0 or not clip.arrays
    return alike and (low is None or low <= 0) and (high is None or high >= 0)


def ready(graph: Graph, name: str) -> Graph:
    """The graph with what replicas of a value need: a clip, and a layer that can be shifted.

    A clip without bounds ends the group if it has none, and a scale of 1 makes one operand of a sum
    of values a layer.
    """
    group = group_named(graph, name)
    last, shifted = group.nodes[-1], shifted_layer(group)
    if group.clip and shifted:
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        made = [node]
        if node is last and not group.clip:
            made = _with_clip(graph, node)
        if node is group.total and not shifted:
            made = [*_with_scale(graph, made[0]), *made[1:]]
        nodes += made
    return replace(graph, nodes=tuple(nodes))


def _with_scale(graph: Graph, node: Node) -> list[Node]:
    first, *others = node.operands
    one = np.ones((1,) * len(node.result.type.shape))
    result = Value(graph.fresh(f"{node.result.name}:first"), node.result.type.layout)
    scale = affine(first, one, 0 * one, result, node.origin)
    return [scale, replace(node, operands=(result, *others))]


def _with_clip(graph: Graph, node: Node) -> list[Node]:
    whole = Value(graph.fresh(f"{node.result.name}:whole"), node.result.type.layout)
    return [replace(node, result=whole), Node(Clip(), (whole,), node.result, node.origin)]


def _reads_several(graph: Graph, value: Value) -> bool:
    return not graph.is_output(value) and all(
        isinstance(user.op, Add | SumPool | Affine)
        or parameters(user) is not None
        or (isinstance(user.op, MaxPool | View) and _reads_several(graph, user.result))
        for user in graph.users(value)
    )


def readers_of(graph: Graph, value: Value) -> Iterator[FusionGroup]:
    """The groups that read a value, or a pool or view of it."""
    groups = groups_by_node(graph)
    names, seen = [value], set[str]()
    while names:
        for user in graph.users(names.pop()):
            if isinstance(user.op, MaxPool | View):
                names.append(user.result)
            elif user.result.name in groups and user.result.name not in seen:
                seen.add(user.result.name)
                yield groups[user.result.name]


def around_depthwise(graph: Graph) -> set[str]:
    """Names of the values that depthwise layers, or other groups of few inputs, read or make.

    A layer cannot be fitted to much of their noise: it has few weights a neuron.
    """
    found = set()
    for group in fusion_groups(graph):
        for branch in group.branches:
            node = branch.linear
            grouped = node is not None and isinstance(node.op, Conv) and node.op.groups > 1
            if node is not None and grouped and elements_summed(node) <= _FEW_INPUTS:
                found |= {branch.source.name, group.result.name}
    return found


def shifted_layer(group: FusionGroup) -> Node | None:
    """The layer of a group whose bias can absorb a shift."""
    layers = (branch.linear for branch in group.branches)
    return next((node for node in layers if node and _has_bias(node)), None)


def _has_bias(node: Node) -> bool:
    return isinstance(node.op, Affine) or parameters(node) is not None
