"""To which operand of each product in front of a state a factor of its elements goes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Multiply
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import run
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm

from .in_front import Picks

_FRAMES = 2048  # that are looked at


def picks_of(graph: Graph, layer: Node, factor: Array, seen: Mapping[str, Array]) -> Picks:
    """By product in front of a layer, the operand whose elements the factor makes most alike.

    ``seen`` holds the values of all inputs. Products of which it makes neither alike have none.
    """
    products = {node.result.name: _values(node) for node in _products(graph, layer)}
    if not products:
        return {}
    names = sorted({one.name for values in products.values() for one in values})
    data = tuple(_some(seen[value.name]) for value in graph.inputs)
    reach: dict[str, Array] = {}
    for found in run(FoldBatchNorm()(graph), data, names):
        for name, array in found.items():
            most = np.abs(array).max(axis=0)
            reach[name] = np.maximum(reach.get(name, most), most)
    gains = {
        name: [_unlike(reach[one.name]) - _unlike(reach[one.name] * factor) for one in values]
        for name, values in products.items()
    }
    return {name: found.index(max(found)) for name, found in gains.items() if max(found) > 0}


def _products(graph: Graph, layer: Node) -> list[Node]:
    """The products of the shape of a layer's result that it is computed of."""
    found: list[Node] = []
    read = {layer.result}
    for node in reversed(graph.nodes):
        if node.result in read:
            read |= set(_values(node))
            alike = node.result.type.shape == layer.result.type.shape
            found += [node] if isinstance(node.op, Multiply) and alike else []
    return found


def _values(node: Node) -> list[Value]:
    return [operand for operand in node.operands if isinstance(operand, Value)]


def _some(array: Array) -> Array:
    return array[:: 1 + len(array) // _FRAMES]


def _unlike(reach: Array) -> float:
    """By how much elements differ in what they reach, as a logarithm."""
    some = reach[reach > 0]
    return float(np.log(some.max() / some.min())) if some.size else 0.0
