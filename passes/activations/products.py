"""What is computed of products of two values, and what they are computed of."""

from __future__ import annotations

from qcompiler.ir import Graph
from qcompiler.ir.ann import Add, Affine, Multiply
from qcompiler.ir.view import View


def behind_products(graph: Graph) -> set[str]:
    """Names of products, and of what is computed of them."""
    found: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.op, Multiply) or any(o.name in found for o in node.operands):
            found.add(node.result.name)
    return found


def are_chained(graph: Graph) -> bool:
    """Whether products are computed of others, as in recurrent cells."""
    products = (node.result.name for node in graph.nodes if isinstance(node.op, Multiply))
    return not ahead_of_products(graph).isdisjoint(products)


def states(graph: Graph) -> set[str]:
    """Names of what cells carry on: sums of products, or of such sums, that products read."""
    summed, found = set[str](), set[str]()
    for node in graph.nodes:
        operands = {operand.name for operand in node.operands}
        if isinstance(node.op, Multiply):
            found |= operands
        if isinstance(node.op, Multiply) or (
            isinstance(node.op, Add | Affine | View) and not operands.isdisjoint(summed)
        ):
            summed.add(node.result.name)
    return {n.result.name for n in graph.nodes if isinstance(n.op, Add)} & summed & found


def ahead_of_products(graph: Graph) -> set[str]:
    """Names of what products are computed of."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, Multiply) or node.result.name in found:
            found |= {operand.name for operand in node.operands}
    return found
