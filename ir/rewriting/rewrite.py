"""Rewriting: rules that look at one node, and a driver that applies them until none matches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from qcompiler.ir.graph import Graph, Node, Value

from .draft import Draft
from .rewriting_order import Sweep

Rule: TypeAlias = Callable[[Node, Graph], "tuple[Node, ...] | Value | None"]


def rewrite(graph: Graph, *rules: Rule) -> Graph:
    """Apply rules until none matches, and drop nodes without readers.

    A rule gets a node and returns its replacement: nodes, the last of which has its result, or one
    of the same name with another range; or another value for its readers; or None for no match.
    Rules must terminate, and must depend on nothing but the node and what they ask the graph: a
    node where none has matched is visited again only when one of these answers may have changed.
    """
    draft = Draft(graph)
    later = Sweep(draft.awake())
    while later:
        now, later = later, Sweep()
        draft.entered.clear()
        while now:
            here = now.pop()
            node = draft.asking(here)
            found = None if node is None else _found(node, draft, rules)
            if node is None or found is None:
                continue
            renewed = draft.replace(node, found)
            for place in draft.awake():
                ahead = here < place and place.name not in draft.entered
                (now if ahead else later).push(place)
            if renewed:  # its readers are new nodes: what is left waits for the next sweep
                now, later = Sweep(), now.joined(later)
    return draft.graph()


def _found(node: Node, graph: Graph, rules: tuple[Rule, ...]) -> tuple[Node, ...] | Value | None:
    for rule in rules:
        if (found := rule(node, graph)) is not None:
            return found
    return None


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
