"""Chains of views: compose, shorten and invert them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Value, infer, origins
from qcompiler.ir.ann import Add, Conv, Dense, SumPool
from qcompiler.ir.index_maps import Arrangement, inverse, places_of, shorter, simple_views
from qcompiler.ir.view import Pick, View
from qcompiler.passes.folding.neighbours import only_producer

LINEAR = Conv | Dense | SumPool | Add


def shorten_chain(node: Node, graph: Graph) -> tuple[Node, ...] | Value | None:
    """Replace a chain of views by a shorter one; inverse views cancel."""
    chain = [node]
    while (inner := graph.producer(chain[0].operands[0])) and isinstance(inner.op, View):
        chain.insert(0, inner)
    while chain:
        found = _replaced(chain, graph)
        if found is not None:
            return found
        chain.pop(0)
    return None


def _replaced(chain: list[Node], graph: Graph) -> tuple[Node, ...] | Value | None:
    source, last = chain[0].operands[0], chain[-1]
    assert isinstance(source, Value)
    shape, picks = source.type.shape, any(isinstance(n.op, Pick) for n in chain)
    if not picks:
        ops = shorter(tuple(n.op for n in chain), shape)
    elif len(chain) == 1:
        return None
    else:
        places = places_of(shape, map(arrangement, chain))
        ops = simple_views(places, shape)
        if ops is None or len(ops) > 1:
            constant = Constant(f"{last.result.name}:places", places)
            return (Node(Pick(), (source, constant), last.result, origins(*chain)),)
    if ops is None:
        return None
    return views_of(graph, source, [Arrangement(op) for op in ops], last, origins(*chain))


def arrangement(node: Node) -> Arrangement:
    """The view of a node."""
    assert isinstance(node.op, View)
    return Arrangement(node.op, *node.arrays)


def views_of(
    graph: Graph, source: Value, chain: list[Arrangement], last: Node, origin: tuple[str, ...]
) -> tuple[Node, ...] | Value:
    """Nodes of some views of a value, in place of the last node."""
    nodes: list[Node] = []
    for index, (op, places) in enumerate(chain):
        name = graph.fresh(f"{last.result.name}:view{index}")
        constants = () if places is None else (Constant(f"{name}:places", places),)
        operands: tuple[Operand, ...] = source, *constants
        final = index == len(chain) - 1
        source = last.result if final else Value(name, infer(op, operands, origin))
        nodes.append(Node(op, operands, source, origin))
    return tuple(nodes) or source


def chain_above(graph: Graph, node: Node) -> tuple[list[Node], Node | None]:
    """Views up to this one that nothing else reads, in order, and the layer that they arrange."""
    views: list[Node] = []
    while isinstance(node.op, View):
        views.insert(0, node)
        inner = only_producer(node, graph, LINEAR | View)
        if inner is None:
            return views, None
        node = inner
    return views, node


def equal_chains(views: list[Node], others: list[Node]) -> bool:
    """Whether two chains do the same, view by view."""
    return len(views) == len(others) and all(
        one.op == other.op and all(map(np.array_equal, one.arrays, other.arrays))
        for one, other in zip(views, others, strict=True)
    )


def inverse_chain(views: list[Node]) -> list[Arrangement] | None:
    """The views that undo a chain, in order; None if one loses what it reads."""
    found = [inverse(arrangement(view), view.operands[0].type.shape) for view in views]
    undo = [one for one in reversed(found) if one is not None]
    return undo if len(undo) == len(found) else None
