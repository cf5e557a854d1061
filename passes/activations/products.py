"""What is computed of products of two values, and what they are computed of."""

from __future__ import annotations

from qcompiler.ir import Graph
from qcompiler.ir.ann import Multiply


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


def ahead_of_products(graph: Graph) -> set[str]:
    """Names of what products are computed of."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, Multiply) or node.result.name in found:
            found |= {operand.name for operand in node.operands}
    return found
