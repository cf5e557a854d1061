"""Give what a sum of values is computed of to its readers, where that is cheap.

A sum of clips or gates, or a residual stream, needs no population if only linear layers, other sums
and clips read it: each of them sums the parts itself. That takes synapses, and saves the neurons, a
window, and the rounding of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from qcompiler.ir import Graph, Node, Value, drop_dead, rewrite, size
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Multiply, SumPool
from qcompiler.ir.view import View
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.images.pixelwise import is_pixelwise, pixelwise_into_pixelwise
from qcompiler.passes.folding.linear import elements_summed, fan_in_of, parameters, per_channel
from qcompiler.passes.quantization.fusion_groups import Branch, FusionGroup, fusion_groups
from qcompiler.passes.quantization.levels import PRECISE

from .inlined_graph import Inliner, arranged, is_scale, root, scale_before_views
from .products import are_chained
from .resolution import Resolution

_SMALL = 2000  # elements of a network in which neurons are cheap: populations keep its weights fine
_WORTH = 1024  # synapses that may replace a neuron and its share of a window
_SHARE = 0.01  # of the network's synapses, for copies of layers in front of clips


class _Site(NamedTuple):
    """A reader of a value, and the views between."""

    views: tuple[Node, ...]
    node: Node


def inline_sums(graph: Graph, limits: Resolution | None, fan_in: int = 0) -> Graph:
    """Remove the populations of sums whose readers can sum their parts.

    Readers sum at most ``fan_in`` elements (0: no limit), and weights hold what they add.
    ``limits`` has the levels and the largest weight; its graph is not read. None: no such limit.
    """
    banned, before = set[str](), _too_steep(graph, limits)
    while True:
        chosen = _chosen(graph, banned, fan_in)
        if not chosen:
            return graph
        tried = _simplified(Inliner(graph, chosen).rewritten())
        found = _too_steep(tried, limits)
        steep = [group for name, group in found.items() if name not in before]
        if not steep:
            graph, before = tried, found
            continue
        sources = {name for group in steep for name in _sources(tried, group)}
        guilty = {name for name, group in chosen.items() if sources & _sources(graph, group)}
        banned |= guilty or set(chosen)


def inlines(graph: Graph, t_max: int) -> bool:
    """Whether lowering inlines sums: with products, at many levels only in chains of them.

    Many levels need all weights, but in chains the roundings of all sums add up.
    """
    return graph.known(has_products) and (t_max < PRECISE or graph.known(are_chained))


def keeps_sums(graph: Graph, t_max: int) -> bool:
    """Whether sums keep their neurons: few have few levels, and fine weights are worth more."""
    return t_max < PRECISE and is_few(graph)


def has_products(graph: Graph) -> bool:
    """Whether a graph multiplies values."""
    return any(isinstance(node.op, Multiply) for node in graph.nodes)


def is_few(graph: Graph) -> bool:
    """Whether neurons are so few that they are cheap."""
    return graph.known(_neurons) < _SMALL


def _neurons(graph: Graph) -> int:
    return sum(size(group.result.type) for group in fusion_groups(graph))


def _sources(graph: Graph, group: FusionGroup) -> set[str]:
    """Names of the populations that a group reads."""
    return {root(graph, branch.source).name for branch in group.branches}


def _simplified(graph: Graph) -> Graph:
    return drop_dead(rewrite(graph, *SUMS, pixelwise_into_pixelwise, scale_before_views))


def inlined(graph: Graph, t_max: int, fan_in: int = 0) -> set[str]:
    """Names of the sums that lowering may inline, if neurons are not few then, and weights fit."""
    if not inlines(graph, t_max):
        return set()
    return {group.result.name for group in _cheap(graph, set(), fan_in)}


def _chosen(graph: Graph, banned: set[str], fan_in: int) -> dict[str, FusionGroup]:
    """Groups to inline, none of which reads another."""
    found: dict[str, FusionGroup] = {}
    for group in _cheap(graph, banned, fan_in):
        if not any(root(graph, branch.source).name in found for branch in group.branches):
            found[group.result.name] = group
    return found


def _cheap(graph: Graph, banned: set[str], fan_in: int) -> Iterator[FusionGroup]:
    """The groups whose readers can sum their parts, and for which that pays."""
    groups = {node.result.name: g for g in fusion_groups(graph) for node in g.nodes}
    few = _SHARE * sum(fan_in_of(g) * size(g.result.type) for g in fusion_groups(graph))
    for group in fusion_groups(graph):
        name = group.result.name
        if group.clip or group.gain or name in banned or graph.is_output(group.result):
            continue
        sites = _sites(graph, group.result)
        if sites and _has_parts(group, sites) and _pays(group, sites, groups, fan_in, few):
            yield group


def _sites(graph: Graph, value: Value, views: tuple[Node, ...] = ()) -> list[_Site] | None:
    """The readers of a value behind views; None if one of them needs its population."""
    found: list[_Site] = []
    for user in graph.users(value):
        if isinstance(user.op, View):
            inner = (
                None if graph.is_output(user.result) else _sites(graph, user.result, (*views, user))
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
        is_scale(branch) or _suits(branch, site) for branch in group.branches for site in sites
    )


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


def _pays(
    group: FusionGroup,
    sites: list[_Site],
    groups: dict[str, FusionGroup],
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


def _too_steep(graph: Graph, limits: Resolution | None) -> dict[str, FusionGroup]:
    """The populations whose weights would have to be larger than they can be."""
    if limits is None:
        return {}
    here = replace(limits, graph=graph)
    return {g.result.name: g for g in fusion_groups(graph) if not here.holds(g)}
