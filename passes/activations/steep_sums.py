"""Which sums keep their populations, since weights would be too large without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from qcompiler.ir import Graph, Node, Value, drop_dead, rewrite
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.images.pixelwise import pixelwise_into_pixelwise
from qcompiler.passes.folding.inlined_graph import Inliner, root, scale_before_views
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.group_index import groups_by_node

from .reader_sites import ELEMENTWISE, sites_of
from .resolution import Resolution

Chosen: TypeAlias = dict[str, FusionGroup]  # groups to inline, by name
Steep: TypeAlias = dict[str, set[str]]  # what populations of too large weights read, by name


def without(graph: Graph, chosen: Chosen) -> Graph:
    """The graph in which the readers of some groups sum their parts."""
    nodes = Inliner(graph, chosen).rewritten(graph.nodes)
    return _simplified(replace(graph, nodes=nodes))


def too_steep(graph: Graph, limits: Resolution) -> Steep:
    """The populations whose weights would have to be larger than they can be."""
    return _steep(graph, graph, limits)


def sources(graph: Graph, group: FusionGroup) -> set[str]:
    """Names of the populations that a group reads."""
    return {root(graph, branch.source).name for branch in group.branches}


@dataclass(frozen=True)
class Judge:
    """Tells which of the groups chosen in a graph must keep their populations.

    Weights may be ``coarse`` for sums between elements; those ``before`` are too steep anyway.
    """

    graph: Graph
    limits: Resolution
    coarse: bool
    before: Steep

    def beyond(self, found: Steep) -> Steep:
        """What was not too steep before."""
        return {name: read for name, read in found.items() if name not in self.before}

    def guilty(self, chosen: Chosen, steep: Steep) -> set[str]:
        """The groups whose sources are read by what got too steep, or else all of them."""
        read = set[str]().union(*steep.values())
        found = {name for name, group in chosen.items() if read & sources(self.graph, group)}
        if read:
            found = found or set(chosen)
        return {name for name in found if not (self.coarse and self._is_between(chosen[name]))}

    def knows(self, steep: Steep) -> bool:
        """Whether `again` can tell where what is too steep comes from: it is in the graph, too."""
        return steep.keys() <= groups_by_node(self.graph).keys()

    def again(self, steep: Steep, last: Chosen, chosen: Chosen) -> Steep:
        """What is too steep with other groups than the last; judges those that read what differs.

        All of the graph would have to be rewritten as often as a network has steps.
        """
        readers = self._readers((last | chosen)[name] for name in last.keys() ^ chosen.keys())
        members = {node.result.name for group in readers.values() for node in group.nodes}
        nodes = tuple(node for node in self.graph.nodes if node.result.name in members)
        nodes = Inliner(self.graph, chosen).rewritten(nodes)
        outputs = tuple(group.result for group in readers.values())
        part = _simplified(Graph(self.graph.name, _given(nodes), nodes, outputs))
        # Of two nodes of one name, the later is the one that makes it.
        whole = replace(self.graph, nodes=(*self.graph.nodes, *part.nodes))
        kept = {name: read for name, read in steep.items() if name not in readers}
        return kept | self.beyond(_steep(part, whole, self.limits))

    def _readers(self, groups: Iterable[FusionGroup]) -> Chosen:
        """The groups that read others, by name."""
        by_node = groups_by_node(self.graph)
        sites = (site for group in groups for site in sites_of(self.graph, group.result) or ())
        found = (by_node[site.node.result.name] for site in sites)
        return {group.result.name: group for group in found}

    def _is_between(self, group: FusionGroup) -> bool:
        """Whether only sums and clips of elements read a sum, with no finer levels than others."""
        groups, finer = groups_by_node(self.graph), replace(self.limits, graph=self.graph).is_finer
        return all(
            isinstance(site.node.op, ELEMENTWISE)
            and not finer(groups[site.node.result.name].result)
            for site in sites_of(self.graph, group.result) or ()
        )


def _steep(graph: Graph, whole: Graph, limits: Resolution) -> Steep:
    """Those of a graph, which may be a part of a whole one."""
    here = replace(limits, graph=whole)
    return {g.result.name: sources(whole, g) for g in fusion_groups(graph) if not here.holds(g)}


def _given(nodes: tuple[Node, ...]) -> tuple[Value, ...]:
    """What nodes read that none of them makes."""
    made = {node.result.name for node in nodes}
    read = (o for node in nodes for o in node.operands if isinstance(o, Value))
    return tuple({value.name: value for value in read if value.name not in made}.values())


def _simplified(graph: Graph) -> Graph:
    return drop_dead(rewrite(graph, *SUMS, pixelwise_into_pixelwise, scale_before_views))
