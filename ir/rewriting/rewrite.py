"""Rewriting: rules that look at one node, and a driver that applies them until none matches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from qcompiler.ir.diagnostics import Diagnostic, PipelineError
from qcompiler.ir.given import check_graph
from qcompiler.ir.graph import Graph, Node, Value

from .draft import Draft
from .rewriting_order import Sweep

_CHANGES = 1000  # for each node; more never end

Rule: TypeAlias = Callable[[Node, Graph], "tuple[Node, ...] | Value | None"]


def rewrite(graph: Graph, *rules: Rule) -> Graph:
    """Apply rules until none matches, and drop nodes without readers.

    A rule gets a node and returns its replacement: nodes, the last of which has its result, or one
    of the same name with another range; or another value for its readers; or None for no match.
    Rules must terminate, and must depend on nothing but the node and what they ask the graph: a
    node where none has matched is visited again only when one of these answers may have changed.
    Raises InvalidGraph for what is no graph, PipelineError for a rule that does not terminate,
    TypeError or ValueError for one that returns something else.
    """
    check_graph(graph)
    draft, left = Draft(graph), _CHANGES * (1 + len(graph.nodes))
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
            left -= 1
            if not left:
                raise _endless(node)
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
            return _checked(found, node)
    return None


def _checked(found: object, node: Node) -> tuple[Node, ...] | Value:
    if isinstance(found, Value):
        return found
    if not isinstance(found, tuple) or not all(isinstance(one, Node) for one in found):
        raise TypeError(f"a rule returns a tuple of nodes, a Value or None, not {found!r:.60}")
    last = found[-1].result.name if found else None
    if last != node.result.name:
        what = "nothing" if last is None else f"%{last}"
        raise ValueError(f"a rule replaces %{node.result.name}, but its last node makes {what}")
    nodes: tuple[Node, ...] = found
    return nodes


def _endless(node: Node) -> PipelineError:
    message = f"a rule never ends: it still changes nodes, such as %{node.result.name}"
    return PipelineError(
        Diagnostic(message, node.origin, "have it return None for a node that needs no change")
    )


def substitute(graph: Graph, names: dict[str, Value]) -> Graph:
    """Replace values, given by name, in all their readers; InvalidGraph for what is no graph."""
    check_graph(graph)

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
    """Drop the nodes that no output needs; InvalidGraph for what is no graph."""
    check_graph(graph)
    alive = {value.name for value in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.result.name in alive:
            kept.append(node)
            alive.update(operand.name for operand in node.operands if isinstance(operand, Value))
    return replace(graph, nodes=tuple(reversed(kept)))
