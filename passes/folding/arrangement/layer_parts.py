"""What the readers of a layer take of it: some of its channels, or of its pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Conv
from qcompiler.ir.index_maps import Shape, places_of
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape, Transpose, View
from qcompiler.passes.folding.linear import parameters

from .view_chains import arrangement

CHANNELS, PIXELS = 0, 1  # the axes of a layer's result, its space as one


def chain_to(node: Node, graph: Graph) -> list[Node]:
    """The views from a layer to this one, in order."""
    chain = [node]
    while (inner := graph.producer(chain[0].operands[0])) and isinstance(inner.op, View):
        chain.insert(0, inner)
    return chain


def layers_of(layer: Node, graph: Graph) -> list[Node]:
    """The layers that a node is, or is the sum of; none if it sums others, or has a range."""
    if layer.result.type != layer.result.type.layout:
        return []
    found: list[Node] = [layer]
    if isinstance(layer.op, Add):
        inner = [graph.producer(operand) for operand in layer.operands]
        found = [n for n in inner if n is not None and graph.only_user(n.result) is layer]
        if len(found) < len(layer.operands):
            return []
    grouped = any(isinstance(n.op, Conv) and n.op.groups > 1 for n in found)
    return [] if grouped or any(parameters(n) is None for n in found) else found


def come_apart(value: Value, graph: Graph, axis: int) -> bool:
    """Whether all that reads a value takes parts of it, which are no more than all of it."""
    shape = value.type.shape
    shares = list(_shares(value, graph, shape, (), axis))
    return None not in shares and sum(filter(None, shares)) <= (shape[0], prod(shape[1:]))[axis]


def part_of(chain: Sequence[Node], shape: Shape, axis: int) -> Array | None:
    """The channels, or pixels, that views take; None if it is all, or not each element once."""
    places, row = places_of(shape, map(arrangement, chain)), prod(shape[1:])
    counts = np.bincount(places.ravel(), minlength=prod(shape)).reshape(shape[0], row)
    read = counts.any(axis=1 - axis)
    once = not read.all() and bool((counts.compress(read, axis=axis) == 1).all())
    return np.flatnonzero(read) if once else None


def _shares(
    value: Value, graph: Graph, shape: Shape, chain: tuple[Node, ...], axis: int
) -> Iterator[int | None]:
    """How many channels, or pixels, each view takes; None for what reads otherwise."""
    if graph.is_output(value):
        yield None
    for user in graph.users(value):
        longer = (*chain, user)
        if isinstance(user.op, Reshape | Transpose):
            yield from _shares(user.result, graph, shape, longer, axis)
        else:
            part = part_of(longer, shape, axis) if isinstance(user.op, View) else None
            yield None if part is None else len(part)
            if part is None:
                return
