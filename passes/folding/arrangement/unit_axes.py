"""Pads in front of reshapes that only add or drop axes of one element: they move to the layer."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, infer
from qcompiler.ir.ann import Conv, Pad
from qcompiler.ir.view import Reshape
from qcompiler.passes.folding.neighbours import fresh_between, only_producer


def pad_behind_reshape(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A pad behind the reshape, next to the convolution that takes it in."""
    inner = only_producer(node, graph, Pad) if isinstance(node.op, Reshape) else None
    reader = graph.only_user(node.result)
    if inner is None or reader is None or not isinstance(reader.op, Conv):
        return None
    assert isinstance(inner.op, Pad)
    source, half = inner.operands[0].type.shape, len(inner.op.pads) // 2
    padded = inner.result.type.shape
    long = [axis for axis, length in enumerate(padded) if length > 1]
    shape = list(node.result.type.shape)
    places = [axis for axis, length in enumerate(shape) if length > 1]
    if [padded[axis] for axis in long] != [shape[axis] for axis in places]:
        return None
    pads = [0] * (2 * len(shape))
    for axis, place in zip(long, places, strict=True):
        shape[place] = source[axis]
        pads[place], pads[len(shape) + place] = inner.op.pads[axis], inner.op.pads[half + axis]
    view = Reshape(tuple(shape))
    moved = fresh_between(graph, node, infer(view, inner.operands, node.origin))
    return (
        Node(view, inner.operands, moved, node.origin),
        Node(replace(inner.op, pads=tuple(pads)), (moved,), node.result, inner.origin),
    )
