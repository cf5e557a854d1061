"""A layer whose readers take some of its channels, or pixels, becomes a layer for each of them.

Each then has a range of its own, nothing computes what is not read, and what stands behind the
views, such as a function or a sum, can follow the layer directly.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Conv, Dense, Function
from qcompiler.ir.index_maps import arrangements, places_of
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Pick, Reshape, Take, Transpose
from qcompiler.passes.folding.linear import is_pixelwise
from qcompiler.passes.folding.neighbours import fresh_between, only_producer

from .layer_copies import with_channels, with_pixels
from .layer_parts import CHANNELS, PIXELS, chain_to, come_apart, layers_of, part_of
from .view_chains import arrangement, views_of

_COPIES = {CHANNELS: with_channels, PIXELS: with_pixels}


def row_rules(node: Node, graph: Graph) -> tuple[Node, ...] | Value | None:
    """Apply the rules of this module that fit a node."""
    match node.op:
        case Take() | Pick():
            return _own_part(node, graph)
        case Function() if not node.arrays:
            return _function_first(node, graph)
    return None


def _own_part(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A layer with what a view takes, if views take each channel, or each pixel, at most once."""
    chain = chain_to(node, graph)
    layer = graph.producer(chain[0].operands[0])
    if layer is None or not (layers := layers_of(layer, graph)):
        return None
    shape, pixelwise = layer.result.type.shape, all(map(is_pixelwise, layers))
    for axis in (CHANNELS, PIXELS) if pixelwise else (CHANNELS,):
        part = part_of(chain, shape, axis)
        if part is not None and come_apart(layer.result, graph, axis):
            copies = _copies(node, graph, layer, layers, part, axis)
            return (*copies[:-1], *_behind(node, graph, chain, copies[-1], part, axis))
    return None


def _copies(
    node: Node, graph: Graph, layer: Node, layers: list[Node], part: Array, axis: int
) -> list[Node]:
    """Copies of a layer, or of a sum of layers, with a part of the channels or pixels."""
    made: list[Node] = []
    ends: list[Value] = []
    for index, one in enumerate(layers):
        name = graph.fresh(f"{node.result.name}:part{index}")
        made += _COPIES[axis](one, part, graph, name)
        ends.append(made[-1].result)
    if isinstance(layer.op, Add):
        total = replace(ends[0], name=graph.fresh(f"{node.result.name}:part"))
        made.append(replace(layer, operands=tuple(ends), result=total))
    return made


def _behind(
    node: Node, graph: Graph, chain: list[Node], last: Node, part: Array, axis: int
) -> tuple[Node, ...]:
    """The copy, and the views that arrange what it has as the chain arranged the whole."""
    shape, made = chain[0].operands[0].type.shape, last.result.type.shape
    at = [*np.divmod(places_of(shape, map(arrangement, chain)), prod(shape[1:]))]
    at[axis] = np.searchsorted(part, at[axis])
    views = list(arrangements(at[0] * prod(made[1:]) + at[1], made))
    if not views:
        return (replace(last, result=node.result),)
    behind = views_of(graph, last.result, views, node, node.origin)
    assert isinstance(behind, tuple)
    return (last, *behind)


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
