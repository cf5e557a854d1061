"""Move clips, pads, scales and sums before views, so that views need no neurons.

A view then stands directly behind a population, where it is free, or folds into the weights of a
dense layer, or cancels against its inverse.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Tensor, Value, infer, origins, size
from qcompiler.ir.ann import Add, Affine, Clip, Dense, Function, MaxPool, Pad
from qcompiler.ir.index_maps import places_of
from qcompiler.ir.view import Reshape, Transpose, View
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.linear import parameters, per_channel, replace_weights
from qcompiler.passes.folding.neighbours import (
    affine,
    fresh_between,
    only_producer,
    scale_and_shift,
)
from qcompiler.passes.folding.sums import takes_only_gain
from qcompiler.passes.quantization.fusion_groups import is_network_output

from .view_arrays import arranged, before_view
from .view_chains import (
    LINEAR,
    arrangement,
    chain_above,
    equal_chains,
    inverse_chain,
    shorten_chain,
    views_of,
)

_LEFT_OUT = 1.5  # times the elements behind views, in front of them: some that the views leave out


def view_rules(node: Node, graph: Graph) -> tuple[Node, ...] | Value | None:
    """Apply the rules of this module that fit a node."""
    match node.op:
        case Clip():
            return _clip_first(node, graph)
        case Function():
            return _function_first(node, graph)
        case Affine():
            return _affine_first(node, graph)
        case Add():
            return _sum_first(node, graph)
        case Pad():
            return _pad_first(node, graph)
        case Dense():
            return _into_dense(node, graph)
        case op if isinstance(op, View):
            return shorten_chain(node, graph) or _affine_behind(node, graph)
    return None


def _into_dense(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    inner, found = graph.producer(node.operands[0]), parameters(node)
    if inner is None or found is None or not isinstance(inner.op, Reshape | Transpose):
        return None
    source, origin = inner.operands[0], origins(inner, node)
    if isinstance(inner.op, Reshape):
        return (replace(node, operands=(source, *node.operands[1:]), origin=origin),)
    weight = np.empty_like(found[0])
    weight[:, places_of(source.type.shape, [arrangement(inner)]).ravel()] = found[0]
    return (replace(replace_weights(node, source, weight, found[1]), origin=origin),)


def _clip_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A clip commutes with the maximum and with views, but not with parts that others read, too."""
    inner = only_producer(node, graph, MaxPool | View)
    source = graph.producer(inner.operands[0]) if inner else None
    if inner is None or node.arrays or source is None:
        return None
    part = isinstance(inner.op, View) and size(source.result.type) > size(node.result.type)
    if part and not is_code(node.result) and graph.only_user(source.result) is not inner:
        return None
    clipped = fresh_between(graph, node, source.result.type)
    if is_code(node.result):
        clipped = replace(clipped, type=replace(node.result.type, shape=clipped.type.shape))
    return (
        Node(node.op, (source.result,), clipped, node.origin),
        replace(inner, operands=(clipped, *inner.operands[1:]), result=node.result),
    )


def _function_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A function of one variable commutes with views: its segments then stand behind the layer."""
    inner = None if node.arrays else only_producer(node, graph, View)
    views, layer = chain_above(graph, inner) if inner else ([], None)
    if layer is None or size(layer.result.type) > _LEFT_OUT * size(node.result.type):
        return None
    found = fresh_between(graph, node, layer.result.type)
    again = [arrangement(view) for view in views]
    chain = views_of(graph, found, again, node, origins(*views))
    assert isinstance(chain, tuple)
    return (Node(node.op, (layer.result,), found, node.origin), *chain)


def _pad_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A pad behind a transpose pads other axes before it."""
    inner = only_producer(node, graph, Transpose)
    if inner is None:
        return None
    assert isinstance(node.op, Pad) and isinstance(inner.op, Transpose)
    perm = inner.op.perm
    axes = [perm.index(axis) for axis in range(len(perm))]
    pads = tuple(node.op.pads[half + axis] for half in (0, len(perm)) for axis in axes)
    op, source = replace(node.op, pads=pads), inner.operands[0]
    padded = fresh_between(graph, node, infer(op, (source,), node.origin))
    return (
        Node(op, (source,), padded, node.origin),
        replace(inner, operands=(padded,), result=node.result),
    )


def _affine_behind(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """``view(affine(x))`` is ``affine'(view(x))``: brings the affine map to the next layer."""
    inner = only_producer(node, graph, Affine)
    if inner is None:
        return None
    layer = only_producer(inner, graph, LINEAR)
    gain = layer is not None and takes_only_gain(layer, scale_and_shift(inner)[0], graph)
    if gain and is_network_output(graph, node.result):
        return None
    scale, shift = (arranged(node, array, inner.result.type) for array in scale_and_shift(inner))
    seen = fresh_between(graph, node, node.result.type)
    return (
        replace(node, operands=(inner.operands[0], *node.operands[1:]), result=seen),
        affine(seen, scale, shift, node.result, inner.origin),
    )


def _affine_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """``affine(view(layer))`` is ``view(affine'(layer))``, if the layer can take that in.

    Windows take it in as a gain, but the next layer, if there is one, does so for nothing.
    """
    inner = only_producer(node, graph, View)
    views, layer = chain_above(graph, inner) if inner else ([], None)
    if inner is None or layer is None:
        return None
    if isinstance(layer.op, Add) and len(set(layer.operands)) < len(layer.operands):
        return None
    shape = layer.result.type.shape
    places = places_of(shape, map(arrangement, views))
    scale, shift = (before_view(array, places, shape) for array in scale_and_shift(node))
    if scale is None or shift is None or per_channel(scale, shape) is None:
        return None
    if takes_only_gain(layer, scale, graph) and not is_network_output(graph, node.result):
        return None
    moved = fresh_between(graph, node, layer.result.type)
    assert isinstance(layer.result.type, Tensor)
    moved = replace(moved, type=replace(layer.result.type.layout, t_max=layer.result.type.t_max))
    again = [arrangement(view) for view in views]
    chain = views_of(graph, moved, again, node, origins(*views))
    assert isinstance(chain, tuple)
    return (affine(layer.result, scale, shift, moved, node.origin), *chain)


def _sum_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """``view(layer) + other`` is ``view(layer + inverse view(other))``, if more layers gain."""
    found = [_seen(node, graph, operand) for operand in node.operands]
    plain = sum(not views and layer is not None for views, layer in found)
    views, layer = max(found, key=lambda way: (way[1] is not None and len(way[0]), len(way[0])))
    if layer is None or not views:
        return None
    alike = [way[1] is not None and equal_chains(views, way[0]) for way in found]
    undo = inverse_chain(views)
    if sum(alike) <= plain or undo is None:
        return None
    nodes: list[Node] = []
    operands: list[Operand] = []
    for operand, (_, below), same in zip(node.operands, found, alike, strict=True):
        assert isinstance(operand, Value)
        if same and below is not None:
            operands.append(below.result)
            continue
        suffix = f":term{len(operands)}"
        value = Value(graph.fresh(node.result.name + suffix), layer.result.type.layout)
        holder = replace(node, result=value)
        made = views_of(graph, operand, undo, holder, node.origin)
        assert isinstance(made, tuple)
        nodes += made
        operands.append(value)
    total = fresh_between(graph, node, layer.result.type)
    nodes.append(replace(node, operands=tuple(operands), result=total))
    again = [arrangement(view) for view in views]
    behind = views_of(graph, total, again, node, origins(*views))
    return (*nodes, *behind) if isinstance(behind, tuple) else None


def _seen(node: Node, graph: Graph, operand: Operand) -> tuple[list[Node], Node | None]:
    """The views and the layer behind an operand of a sum that nothing else reads."""
    inner = graph.producer(operand)
    if inner is None or graph.only_user(inner.result) is not node:
        return [], None
    if not isinstance(inner.op, LINEAR | View):
        return [], None
    return chain_above(graph, inner)
