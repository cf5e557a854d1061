"""Gains and shifts of functions and products: what scales and shifts their results folds in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, origins
from qcompiler.ir.ann import Affine, Function, Multiply
from qcompiler.ir.index_maps import places_of
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import View
from qcompiler.passes.folding.channel_scales import with_gain
from qcompiler.passes.folding.linear import per_channel
from qcompiler.passes.folding.neighbours import fresh_between, only_producer, scale_and_shift

from .view_arrays import before_view
from .view_chains import arrangement, views_of

_FITTED = Function | Multiply


def affine_into_fitted(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A positive scale and a shift of each channel fold into a function, also behind its views."""
    if not isinstance(node.op, Affine):
        return None
    views: list[Node] = []
    inner = only_producer(node, graph, View | _FITTED)
    while inner is not None and isinstance(inner.op, View):
        views.insert(0, inner)
        inner = only_producer(inner, graph, View | _FITTED)
    if inner is None:
        return None
    shape = inner.result.type.shape
    places = places_of(shape, map(arrangement, views))
    scale, shift = (before_view(array, places, shape) for array in scale_and_shift(node))
    if scale is None or shift is None or scale.min() <= 0 or per_channel(scale, shape) is None:
        return None
    result = fresh_between(graph, node, inner.result.type) if views else node.result
    gain, own = (*inner.arrays, *(np.ones(()), np.zeros(()))[len(inner.arrays) :])
    numbers = (expand_to_rank(one, len(shape)) for one in (gain * scale, own * scale + shift))
    made = with_gain(replace(inner, result=result, origin=origins(inner, node)), *numbers)
    chain = views_of(graph, result, [arrangement(v) for v in views], node, origins(*views))
    return (made, *chain) if isinstance(chain, tuple) else (made,)
