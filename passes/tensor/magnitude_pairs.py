"""Pairs of layers whose squares are added, as the real and the imaginary part of a spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node, Operand
from qcompiler.ir.ann import Add, Function, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape, View
from qcompiler.passes.folding.arrangement.view_chains import equal_chains
from qcompiler.passes.folding.linear import expand_rows, parameters
from qcompiler.passes.folding.neighbours import only_producer

SQUARE = "x x *"


class Pair(NamedTuple):
    """Weights and biases of two layers, the first of them, and the nodes that add the squares.

    ``views`` are those between the squares of either layer and their sum.
    """

    first: tuple[Array, Array]
    second: tuple[Array, Array]
    layer: Node
    merged: tuple[Node, ...]
    views: Sequence[Node] = ()


def pair_of(total: Node, graph: Graph) -> Pair | None:
    """The pair whose squares a sum adds, if it is one."""
    return (_of_two_layers if isinstance(total.op, Add) else _of_halves)(total, graph)


def _of_two_layers(total: Node, graph: Graph) -> Pair | None:
    """Layers alike that read one value, and whose squares are added."""
    views, squares = zip(*(_viewed(one, total, graph) for one in total.operands), strict=True)
    layers = [made for one in squares if one and (made := graph.producer(one.operands[0]))]
    if len(layers) != 2 or len(squares) != 2:
        return None
    one, other = layers
    first, second = parameters(one), parameters(other)
    if first is None or second is None or one.op != other.op or not equal_chains(*views):
        return None
    if one.operands[0] != other.operands[0] or first[0].shape != second[0].shape:
        return None
    merged = (*layers, *(square for square in squares if square), total)
    a, b = ((weight, expand_rows(bias, one.result.type.shape)) for weight, bias in (first, second))
    return Pair(a, b, one, merged, views[0])


def _viewed(operand: Operand, reader: Node, graph: Graph) -> tuple[list[Node], Node | None]:
    """The square that a node alone reads, and the views between."""
    views: list[Node] = []
    while (made := graph.producer(operand)) and isinstance(made.op, View):
        if graph.only_user(made.result) is not reader:
            break
        views.insert(0, made)
        reader, operand = made, made.operands[0]
    return views, _square(operand, reader, graph)


def _of_halves(total: Node, graph: Graph) -> Pair | None:
    """A layer of which one half of the channels belongs to the other, as a sum over an axis."""
    assert isinstance(total.op, SumPool)
    image, square = total.operands[0], only_producer(total, graph, Reshape | Function)
    if square is not None and isinstance(square.op, Reshape):
        square = only_producer(square, graph, Function)
    found = square and _square(square.result, graph.only_user(square.result), graph)
    layer = graph.producer(found.operands[0]) if found else None
    known = parameters(layer) if layer else None
    if found is None or layer is None or known is None or getattr(layer.op, "groups", 1) != 1:
        return None
    channels, halves = len(known[0]), image.type.shape[:2] == (1, 2)
    if not halves or total.op.kernel != (2, 1) or any(total.op.pads) or channels % 2:
        return None
    weight, bias = known[0], expand_rows(known[1], layer.result.type.shape)
    (a, b), (p, q) = np.split(weight, 2), np.split(bias, 2)
    return Pair((a, p), (b, q), layer, (layer, found, total))


def _square(operand: Operand, reader: Node | None, graph: Graph) -> Node | None:
    """The square that a node alone reads."""
    node = graph.producer(operand)
    if node is None or not isinstance(node.op, Function) or node.arrays or reader is None:
        return None
    return node if node.op.formula == SQUARE and graph.only_user(node.result) is reader else None
