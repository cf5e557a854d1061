"""Scales and shifts of outputs move to what computes the values: past views, pools and ReLUs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, origins, rewrite
from qcompiler.ir.ann import Affine, Clip, Conv, Dense, Function, MaxPool, Multiply
from qcompiler.ir.index_maps import places_of
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.view import View
from qcompiler.passes.folding.affine import affine_behind_linear
from qcompiler.passes.folding.channel_scales import with_gain
from qcompiler.passes.folding.linear import per_channel
from qcompiler.passes.folding.neighbours import (
    affine,
    fresh_between,
    only_producer,
    scale_and_shift,
)

from .view_arrays import before_view
from .view_chains import arrangement

_PASSING = View | MaxPool | Clip
_ROOTS = Function | Multiply | Conv | Dense


def with_scales_at_roots(graph: Graph) -> Graph:
    """The same network with scales of outputs in the layers and functions that compute them."""
    return rewrite(graph, _affine_to_root, affine_behind_linear)


def _affine_to_root(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A positive scale and a shift of each channel fold into a function or product.

    Past what passes them on they go to a layer, into which they fold.
    """
    if not isinstance(node.op, Affine):
        return None
    scale, shift = scale_and_shift(node)
    passing: list[Node] = []
    inner = only_producer(node, graph, _PASSING | _ROOTS)
    while inner is not None and isinstance(inner.op, _PASSING):
        scales, shifts = _before(inner, scale), _before(inner, shift)
        if scales is None or shifts is None or not _passes(inner, scales, shifts):
            return None
        scale, shift = scales, shifts
        passing.insert(0, inner)
        inner = only_producer(inner, graph, _PASSING | _ROOTS)
    if inner is None or not _of_channels(inner, scale, shift) or scale.min() <= 0:
        return None
    fitted = isinstance(inner.op, Function | Multiply)
    if not fitted and not passing:
        return None
    result = fresh_between(graph, node, inner.result.type) if passing else node.result
    if fitted:
        made = [_gained(replace(inner, result=result, origin=origins(inner, node)), scale, shift)]
    else:
        made = [affine(inner.result, scale, shift, result, node.origin)]
    for at, one in enumerate(passing):
        last = at == len(passing) - 1
        value = node.result if last else fresh_between(graph, one, one.result.type, ":scaled")
        made.append(replace(one, operands=(made[-1].result, *one.operands[1:]), result=value))
    return tuple(made)


def _before(node: Node, array: Array) -> Array | None:
    """What is spread over a result, as it is before this node; None if there is no such thing."""
    shape = node.operands[0].type.shape
    if isinstance(node.op, View):
        return before_view(array, places_of(shape, [arrangement(node)]), shape)
    return array


def _passes(node: Node, scale: Array, shift: Array) -> bool:
    """Whether a positive scale, and a shift, may as well come before a node."""
    if isinstance(node.op, Clip):
        return node.op == Clip(0.0) and not node.arrays and not shift.any()
    return isinstance(node.op, View) or _of_channels(node, scale, shift)


def _of_channels(node: Node, *arrays: Array) -> bool:
    shape = node.result.type.shape
    return all(per_channel(array, shape) is not None for array in arrays)


def _gained(node: Node, scale: Array, shift: Array) -> Node:
    gain = node.arrays[0] if node.arrays else np.ones(())
    own = node.arrays[1] if len(node.arrays) > 1 else np.zeros(())
    rank = len(node.result.type.shape)
    numbers = (expand_to_rank(array, rank) for array in (gain * scale, own * scale + shift))
    return with_gain(node, *numbers)
