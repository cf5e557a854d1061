"""The readers of a sum that may read its parts, and what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qcompiler.ir import Graph, Node, Value, size
from qcompiler.ir.ann import Add, Affine, Clip, Conv, SumPool
from qcompiler.ir.view import View
from qcompiler.passes.folding.inlined_graph import arranged, is_scale
from qcompiler.passes.folding.linear import (
    elements_summed,
    fan_in_of,
    is_pixelwise,
    parameters,
    per_channel,
)
from qcompiler.passes.quantization.fusion_groups import Branch, FusionGroup

ELEMENTWISE = Affine | Add | Clip
_WORTH = 1024  # synapses that may replace a neuron and its share of a window


class Site(NamedTuple):
    """A reader of a value, and the views between."""

    views: tuple[Node, ...]
    node: Node


def sites_of(graph: Graph, value: Value, views: tuple[Node, ...] = ()) -> list[Site] | None:
    """The readers of a value behind views; None if one of them needs its population."""
    found: list[Site] = []
    for user in graph.users(value):
        if isinstance(user.op, View):
            ends, behind = graph.is_output(user.result), (*views, user)
            inner = None if ends else sites_of(graph, user.result, behind)
            if inner is None:
                return None
            found += inner
        elif parameters(user) is not None or isinstance(user.op, SumPool | ELEMENTWISE):
            found.append(Site(views, user))
        else:
            return None
    return found


def have_parts(group: FusionGroup, sites: list[Site]) -> bool:
    """Whether the branches of a group can stand in front of its readers."""
    return all(
        is_scale(branch) or _suits(branch, site) for branch in group.branches for site in sites
    )


def _suits(branch: Branch, site: Site) -> bool:
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


def pays(
    group: FusionGroup,
    sites: list[Site],
    groups: Mapping[str, FusionGroup],
    fan_in: int,
    few: float,
) -> bool:
    """Whether the synapses that readers take more are worth a population.

    Copies of layers in front of clips may take ``few``; `duplicate_layers` decides about others.
    """
    before = fan_in_of(group) * size(group.result.type)
    after = copied = 0
    layers = [b.linear for b in group.branches if b.linear and not isinstance(b.linear.op, Affine)]
    for site in sites:
        own, reader = elements_summed(site.node), groups.get(site.node.result.name)
        summed = own * fan_in_of(group)
        if is_pixelwise(site.node) and any(map(is_pixelwise, layers)):
            summed = fan_in_of(group)
        if 0 < fan_in < summed + (fan_in_of(reader) - own if reader else 0):
            return False
        more = (summed - own) * size(site.node.result.type)
        after += more
        copied += more if layers and reader and reader.clip else 0
    return after - before <= _WORTH * size(group.result.type) and copied <= few
