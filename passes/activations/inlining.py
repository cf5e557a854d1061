"""Give what a sum of values is computed of to its readers, where that is cheap.

A sum of clips or gates, or a residual stream, needs no population if only linear layers, other sums
and clips read it: each of them sums the parts itself. That takes synapses, and saves the neurons, a
window, and the rounding of the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qcompiler.ir import Graph, size
from qcompiler.ir.ann import Multiply
from qcompiler.passes.folding.linear import fan_in_of
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.group_index import groups_by_node
from qcompiler.passes.quantization.levels import PRECISE

from .products import are_chained
from .reader_sites import ELEMENTWISE, have_parts, pays, sites_of
from .resolution import Resolution
from .steep_sums import Chosen, Judge, sources, too_steep, without

_SMALL = 2000  # elements of a network in which neurons are cheap: populations keep its weights fine
_SHARE = 0.01  # of the network's synapses, for copies of layers in front of clips


class _Fits(NamedTuple):
    """What readers may sum: so many elements (0: no limit), and whether they must be layers."""

    fan_in: int
    layers: bool


def inline_sums(graph: Graph, limits: Resolution, fan_in: int, coarse: bool) -> Graph:
    """Remove the populations of sums whose readers can sum their parts.

    Readers sum at most ``fan_in`` elements (0: no limit), and weights hold what they add.
    ``limits`` has the levels and the largest weight; its graph is not read. Weights may be
    ``coarse`` for sums between elements, where the roundings of all of them add up. With many
    levels, which need fine weights, layers alone sum parts.
    """
    fits = _Fits(fan_in, limits.t_max >= PRECISE)
    banned, before = set[str](), too_steep(graph, limits)
    while chosen := _chosen(graph, cheap := tuple(_cheap(graph, fits)), banned):
        tried, judge = without(graph, chosen), Judge(graph, limits, coarse, before)
        found = too_steep(tried, limits)
        steep = judge.beyond(found)
        guilty = judge.guilty(chosen, steep)
        if not guilty:
            graph, before = tried, found
        while guilty:
            banned |= guilty
            if not judge.knows(steep):
                break
            last, chosen = chosen, _chosen(graph, cheap, banned)
            steep = judge.again(steep, last, chosen)
            guilty = judge.guilty(chosen, steep)
    return graph


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


def inlined(graph: Graph, t_max: int, fan_in: int = 0) -> set[str]:
    """Names of the sums that lowering may inline, if neurons are not few then, and weights fit."""
    if not inlines(graph, t_max):
        return set()
    fits = _Fits(fan_in, t_max >= PRECISE)
    return {group.result.name for group in _cheap(graph, fits)}


def _chosen(graph: Graph, cheap: Iterable[FusionGroup], banned: set[str]) -> Chosen:
    """Groups to inline, none of which reads another."""
    found: dict[str, FusionGroup] = {}
    for group in cheap:
        if group.result.name not in banned and not found.keys() & sources(graph, group):
            found[group.result.name] = group
    return found


def _cheap(graph: Graph, fits: _Fits) -> Iterator[FusionGroup]:
    """The groups whose readers can sum their parts, and for which that pays."""
    groups = groups_by_node(graph)
    few = _SHARE * sum(fan_in_of(g) * size(g.result.type) for g in fusion_groups(graph))
    for group in fusion_groups(graph):
        if group.clip or group.gain or graph.is_output(group.result):
            continue
        sites = sites_of(graph, group.result)
        if fits.layers and any(isinstance(site.node.op, ELEMENTWISE) for site in sites or ()):
            continue
        if sites and have_parts(group, sites) and pays(group, sites, groups, fits.fan_in, few):
            yield group
