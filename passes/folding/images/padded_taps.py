"""Weights that only ever meet padding are left out: of a large kernel on a small image."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.ann import Conv
from qcompiler.ir.kernels import Array
from qcompiler.passes.folding.linear import parameters, replace_weights


def without_padded_taps(node: Node, _: Graph) -> tuple[Node, ...] | None:
    """A convolution without the rows and columns of its kernel that meet no pixel at all.

    They would set the scale of integer weights, and count as synapses. Where the padding is at
    least as wide as they are, the kernel gets smaller; others become zero.
    """
    if not isinstance(node.op, Conv) or not any(node.op.pads) or not (found := parameters(node)):
        return None
    op, (weight, bias) = node.op, found
    used = [_used(node, axis) for axis in range(len(op.strides))]
    if all(taps.all() for taps in used):
        return None
    left = np.where(reduce(np.logical_and.outer, used), weight, 0)
    cuts = [_cut(node, axis, taps) for axis, taps in enumerate(used)]
    if not any(map(any, cuts)) and np.array_equal(left, weight):
        return None
    inside = (slice(a, len(taps) - b) for (a, b), taps in zip(cuts, used, strict=True))
    taken = [count for side in zip(*cuts, strict=True) for count in side]
    pads = (n - c * d for n, c, d in zip(op.pads, taken, 2 * op.dilations, strict=True))
    chosen = (slice(None), slice(None), *inside)
    cut = left[chosen]
    smaller = replace(node, op=replace(op, pads=tuple(pads)))
    return (replace_weights(smaller, node.operands[0], cut, bias),)


def _used(node: Node, axis: int) -> Array:
    """Which taps of a kernel along an axis of space meet a pixel somewhere."""
    found: Array = taps_on_image(node, axis).any(axis=1)
    return found


def taps_on_image(node: Node, axis: int) -> Array:
    """Which taps of a kernel along an axis of space meet a pixel, ``taps x places``."""
    assert isinstance(node.op, Conv)
    size = node.operands[0].type.shape[1 + axis]
    outs, taps = node.result.type.shape[1 + axis], node.operands[1].type.shape[2 + axis]
    first = np.arange(taps) * node.op.dilations[axis] - node.op.pads[axis]
    places = first[:, None] + np.arange(outs) * node.op.strides[axis]
    found: Array = (places >= 0) & (places < size)
    return found


def _cut(node: Node, axis: int, used: Array) -> tuple[int, int]:
    """How many taps at either end may go with as much padding; one tap stays."""
    assert isinstance(node.op, Conv)
    op, rank = node.op, len(node.op.strides)
    begin = min(int(np.argmax(used)), op.pads[axis] // op.dilations[axis])
    end = min(int(np.argmax(used[::-1])), op.pads[rank + axis] // op.dilations[axis])
    return (begin, end) if used.any() else (0, 0)
