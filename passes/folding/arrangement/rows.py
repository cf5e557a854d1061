"""A layer whose readers take some of its channels each becomes a layer for each of them.

Each then has a range of its own, nothing computes channels that are not read, and what stands
behind the views, such as a function, can follow the layer directly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Conv, Dense, Function
from qcompiler.ir.index_maps import arrangements, places_of
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Pick, Reshape, Take, Transpose, View
from qcompiler.passes.folding.linear import expand_rows, parameters, replace_weights
from qcompiler.passes.folding.neighbours import fresh_between, only_producer

from .view_chains import arrangement, views_of


def row_rules(node: Node, graph: Graph) -> tuple[Node, ...] | Value | None:
    """Apply the rules of this module that fit a node."""
    match node.op:
        case Take() | Pick():
            return _own_rows(node, graph)
        case Function() if not node.arrays:
            return _function_first(node, graph)
    return None


def _own_rows(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A layer with the channels that a view takes, if views take each channel at most once."""
    chain = _chain(node, graph)
    layer = graph.producer(chain[0].operands[0])
    if layer is None or not (layers := _layers(layer, graph)):
        return None
    shape = layer.result.type.shape
    rows = _rows(chain, shape)
    if rows is None:
        return None
    taken = list(_taken(layer.result, graph, shape, ()))
    if None in taken or sum(filter(None, taken)) > shape[0]:
        return None
    *before, last = _with_rows(layer, layers, rows, graph, node)
    places, row = places_of(shape, map(arrangement, chain)), prod(shape[1:])
    moved = np.searchsorted(rows, places // row) * row + places % row
    views = list(arrangements(moved, last.result.type.shape))
    if not views:
        return (*before, replace(last, result=node.result))
    behind = views_of(graph, last.result, views, node, node.origin)
    assert isinstance(behind, tuple)
    return (*before, last, *behind)


def _chain(node: Node, graph: Graph) -> list[Node]:
    """The views from a layer to this one, in order."""
    chain = [node]
    while (inner := graph.producer(chain[0].operands[0])) and isinstance(inner.op, View):
        chain.insert(0, inner)
    return chain


def _layers(layer: Node, graph: Graph) -> list[Node]:
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


def _taken(
    value: Value, graph: Graph, shape: tuple[int, ...], chain: tuple[Node, ...]
) -> Iterator[int | None]:
    """How many channels each view takes; None for what reads otherwise."""
    if graph.is_output(value):
        yield None
    for user in graph.users(value):
        longer = (*chain, user)
        if isinstance(user.op, Reshape | Transpose):
            yield from _taken(user.result, graph, shape, longer)
        else:
            rows = _rows(longer, shape) if isinstance(user.op, View) else None
            yield None if rows is None else len(rows)


def _rows(chain: Sequence[Node], shape: tuple[int, ...]) -> Array | None:
    """The channels that a chain of views takes; None if it is all, or not each element once."""
    places, row = places_of(shape, map(arrangement, chain)), prod(shape[1:])
    counts = np.bincount(places.ravel(), minlength=prod(shape)).reshape(shape[0], row)
    read = counts.any(axis=1)
    whole = not read.all() and bool((counts[read] == 1).all())
    return np.flatnonzero(read) if whole else None


def _with_rows(
    layer: Node, layers: list[Node], rows: Array, graph: Graph, node: Node
) -> Iterator[Node]:
    """Copies of a layer, or of a sum of layers, with some of the channels."""
    shape, results = layer.result.type.shape, []
    for index, one in enumerate(layers):
        weight, bias = one.arrays
        name = graph.fresh(f"{node.result.name}:rows{index}")
        results.append(Value(name, replace(layer.result.type, shape=(len(rows), *shape[1:]))))
        some = replace(one, result=results[-1])
        yield replace_weights(some, one.operands[0], weight[rows], expand_rows(bias, shape)[rows])
    if isinstance(layer.op, Add):
        total = replace(results[0], name=graph.fresh(f"{node.result.name}:rows"))
        yield replace(layer, operands=tuple(results), result=total)


def _function_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A function of a layer that a view arranges stands in front of the view."""
    view = only_producer(node, graph, Reshape | Transpose)
    layer = only_producer(view, graph, Conv | Dense | Add) if view else None
    if view is None or layer is None:
        return None
    shape = layer.result.type.shape
    result = fresh_between(graph, node, layer.result.type)
    result = replace(result, type=replace(node.result.type, shape=shape))
    return (
        replace(node, operands=(layer.result,), result=result),
        replace(view, operands=(result,), result=node.result),
    )
