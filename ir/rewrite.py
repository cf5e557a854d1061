"""Rewriting: rules that look at one node, and a driver that applies them until none matches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from .graph import Graph, Node, Value

Rule: TypeAlias = Callable[[Node, Graph], "tuple[Node, ...] | Value | None"]


def rewrite(graph: Graph, *rules: Rule) -> Graph:
    """Apply rules until none matches, and drop nodes without readers.

    A rule gets a node and returns its replacement: nodes, the last of which has its result, or one
    of the same name with another range; or another value for its readers; or None for no match.
    Rules must terminate; each sweep visits every node once.
    """
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            if graph.producer(node.result) is not node:
                continue  # replaced or dropped by an earlier rule of this sweep
            for rule in rules:
                if (found := rule(node, graph)) is not None:
                    graph = drop_dead(_replace(graph, node, found))
                    changed = True
                    break
    return graph


def _replace(graph: Graph, node: Node, found: tuple[Node, ...] | Value) -> Graph:
    if isinstance(found, Value):
        return substitute(graph, {node.result.name: found})
    index = next(i for i, other in enumerate(graph.nodes) if other is node)
    graph = replace(graph, nodes=graph.nodes[:index] + found + graph.nodes[index + 1 :])
    last = found[-1].result
    return graph if last == node.result else substitute(graph, {node.result.name: last})


def substitute(graph: Graph, names: dict[str, Value]) -> Graph:
    """Replace values, given by name, in all their readers."""

    def change(value: Value) -> Value:
        return names.get(value.name, value)

    nodes = tuple(
        replace(
            node,
            operands=tuple(change(o) if isinstance(o, Value) else o for o in node.operands),
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, outputs=tuple(map(change, graph.outputs)))


def drop_dead(graph: Graph) -> Graph:
    """Drop the nodes that no output needs."""
    alive = {value.name for value in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.result.name in alive:
            kept.append(node)
            alive.update(operand.name for operand in node.operands if isinstance(operand, Value))
    return replace(graph, nodes=tuple(reversed(kept)))
