"""Give what a sum of values is computed of to its readers, where that is cheap.

A sum of clips or gates, or a residual stream, needs no population if only linear layers, other sums
and clips read it: each of them sums the parts itself. That takes synapses, and saves the neurons, a
window, and the rounding of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from qcompiler.ir import Graph, drop_dead, rewrite, size
from qcompiler.ir.ann import Multiply
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.images.pixelwise import pixelwise_into_pixelwise
from qcompiler.passes.folding.linear import fan_in_of
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.group_index import groups_by_node
from qcompiler.passes.quantization.levels import PRECISE

from .inlined_graph import Inliner, root, scale_before_views
from .products import are_chained
from .reader_sites import ELEMENTWISE, have_parts, pays, sites_of
from .resolution import Resolution

_SMALL = 2000  # elements of a network in which neurons are cheap: populations keep its weights fine
_SHARE = 0.01  # of the network's synapses, for copies of layers in front of clips


class _Fits(NamedTuple):
    """What readers may sum: so many elements (0: no limit), and whether they must be layers."""

    fan_in: int
    layers: bool


def inline_sums(graph: Graph, limits: Resolution, fan_in: int = 0, coarse: bool = False) -> Graph:
    """Remove the populations of sums whose readers can sum their parts.

    Readers sum at most ``fan_in`` elements (0: no limit), and weights hold what they add.
    ``limits`` has the levels and the largest weight; its graph is not read. Weights may be
    ``coarse`` for sums between elements, where the roundings of all of them add up. With many
    levels, which need fine weights, layers alone sum parts.
    """
    fits = _Fits(fan_in, limits.t_max >= PRECISE)
    banned, before = set[str](), _too_steep(graph, limits)
    while True:
        chosen = _chosen(graph, banned, fits)
        if not chosen:
            return graph
        tried = _simplified(Inliner(graph, chosen).rewritten())
        found = _too_steep(tried, limits)
        sources = {
            name
            for reader, group in found.items()
            if reader not in before
            for name in _sources(tried, group)
        }
        guilty = {name for name, group in chosen.items() if sources & _sources(graph, group)}
        if sources:
            guilty = guilty or set(chosen)
        if coarse:
            guilty = {name for name in guilty if not _between_elements(graph, chosen[name], limits)}
        if not guilty:
            graph, before = tried, found
        banned |= guilty


def inlines(graph: Graph, t_max: int) -> bool:
    """Whether lowering inlines sums: with products, at many levels only in chains of them.

    Many levels need all weights, but in chains the roundings of all sums add up.
    """
    return graph.known(has_products) and (t_max < PRECISE or graph.known(are_chained))


def keeps_sums(graph: Graph, t_max: int) -> bool:
    """Whether sums keep their neurons: few have few levels, and fine weights are worth more."""
    return t_max < PRECISE and is_few(graph)


def populations(graph: Graph) -> frozenset[str]:
    """Names of the fusion groups of a graph, each of which is a population."""
    return frozenset(group.result.name for group in fusion_groups(graph))


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
    fits = _Fits(fan_in, t_max >= PRECISE)
    return {group.result.name for group in _cheap(graph, set(), fits)}


def _chosen(graph: Graph, banned: set[str], fits: _Fits) -> dict[str, FusionGroup]:
    """Groups to inline, none of which reads another."""
    found: dict[str, FusionGroup] = {}
    for group in _cheap(graph, banned, fits):
        if not any(root(graph, branch.source).name in found for branch in group.branches):
            found[group.result.name] = group
    return found


def _between_elements(graph: Graph, group: FusionGroup, limits: Resolution) -> bool:
    """Whether only sums and clips of elements read a sum, with no more levels than others have."""
    groups, finer = groups_by_node(graph), replace(limits, graph=graph).is_finer
    sites = sites_of(graph, group.result) or ()
    return all(
        isinstance(site.node.op, ELEMENTWISE) and not finer(groups[site.node.result.name].result)
        for site in sites
    )


def _cheap(graph: Graph, banned: set[str], fits: _Fits) -> Iterator[FusionGroup]:
    """The groups whose readers can sum their parts, and for which that pays."""
    groups = groups_by_node(graph)
    few = _SHARE * sum(fan_in_of(g) * size(g.result.type) for g in fusion_groups(graph))
    for group in fusion_groups(graph):
        name = group.result.name
        if group.clip or group.gain or name in banned or graph.is_output(group.result):
            continue
        sites = sites_of(graph, group.result)
        if fits.layers and any(isinstance(site.node.op, ELEMENTWISE) for site in sites or ()):
            continue
        if sites and have_parts(group, sites) and pays(group, sites, groups, fits.fan_in, few):
            yield group


def _too_steep(graph: Graph, limits: Resolution) -> dict[str, FusionGroup]:
    """The populations whose weights would have to be larger than they can be."""
    here = replace(limits, graph=graph)
    return {g.result.name: g for g in fusion_groups(graph) if not here.holds(g)}
