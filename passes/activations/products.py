"""What is computed of products of two values, and what they are computed of."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Multiply
from qcompiler.ir.view import View

_STEEP = 2.0  # times the reach, from which on a factor is read by its reach


class Factor(NamedTuple):
    """What a value that only products read may be off.

    The other operand is at most so large that products stay within their range: an error of what
    lies beyond ``reach`` counts by as much less. ``width`` is that of a product's range, by the
    largest of the other operand.
    """

    reach: float
    width: float


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


def factor_of(graph: Graph, value: Value) -> Factor | None:
    """How a value is read that is far beyond the reach of its products; None for any other."""
    found = list(_factors(graph, value, 1.0))
    if not found or None in found:
        return None
    factors = [one for one in found if one is not None]
    reach, width = (max(column) for column in zip(*factors, strict=True))
    return Factor(reach, width) if _size(value) > _STEEP * reach else None


def _factors(graph: Graph, value: Value, scale: float) -> Iterator[Factor | None]:
    """For each reader of a value, times a scale: the factor that it is; None for no product."""
    if graph.is_output(value):
        yield None
    for node in graph.users(value):
        others = [o for o in node.operands if isinstance(o, Value) and o != value]
        if isinstance(node.op, View):
            yield from _factors(graph, node.result, scale)
        elif isinstance(node.op, Affine) and not node.arrays[1].any():
            yield from _factors(graph, node.result, scale * _power(node))
        elif isinstance(node.op, Multiply) and len(others) == 1:
            yield _factor(node, others[0], scale * _power(node))
        else:
            yield None


def _factor(product: Node, other: Operand, scale: float) -> Factor | None:
    type_, largest = product.result.type, _size(other) * scale
    if not isinstance(type_, Tensor) or type_.range is None or not 0 < largest < inf:
        return None
    low, high = type_.range
    return Factor(_size(product.result) / largest, (high - low) / largest)


def _power(node: Node) -> float:
    """Root of the mean square of a gain; 1 if a node has none."""
    return float(np.sqrt(np.mean(np.square(node.arrays[0])))) if node.arrays else 1.0


def _size(value: Operand) -> float:
    """The largest magnitude within the range of a value; infinite if it has none."""
    bounds = value.type.range if isinstance(value.type, Tensor) else None
    return inf if bounds is None else max(map(abs, bounds))
