"""Fusion groups by name; a graph is searched once."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.ir import Graph

from .fusion_groups import FusionGroup, fusion_groups


def groups_by_node(graph: Graph) -> Mapping[str, FusionGroup]:
    """The group of each node that has one, by the name of the node's result."""
    return graph.known(_by_node)


def group_named(graph: Graph, name: str) -> FusionGroup:
    """The group whose result has this name."""
    group = groups_by_node(graph)[name]
    assert group.result.name == name, name
    return group


def _by_node(graph: Graph) -> dict[str, FusionGroup]:
    return {node.result.name: group for group in fusion_groups(graph) for node in group.nodes}
