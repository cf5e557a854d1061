"""States that end in a clip, or in sums of them: factors of elements go through, into layers.

A bound at zero stays. Others would differ from element to element; factors for which they lie at
the ends of the state's code, or beyond, leave them to the code.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Range, Value
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.passes.folding.neighbours import is_ranged

from .in_front import Front, takes_in

_ON_BOUND = 1e-6  # relative difference that counts as none


def through_clips(
    graph: Graph, front: Front, factor: Array, bounds: Range, result: Value
) -> list[Node] | None:
    """Nodes whose result is that of a state's layer times a factor that spreads over it.

    The factor stands in front of the layer's clip, within the ``bounds`` of a code, of clips at
    zero that it adds up, and of products. None if there are none: layers take the factor in.
    """
    node = front.layer
    clip = _clip_of_product(node, factor, bounds)
    inside = front.has_products or any(isinstance(inner.op, Clip) for inner in front.nodes)
    if clip is None and not (inside and takes_in(node)):
        return None
    last = node if clip is None else replace(node, op=clip)
    return [*front.products(graph, last, result, factor)]


def _clip_of_product(node: Node, factor: Array, bounds: Range) -> Clip | None:
    """What clips the operand of a clip times a factor, within a code; None if there is none."""
    if not isinstance(node.op, Clip) or node.arrays or node.op.nearest or is_ranged(node.result):
        return None
    low, high = node.op.low, node.op.high
    least = float(factor.min()) * (1 + _ON_BOUND)
    if (low and low * least > bounds[0]) or (high and high * least < bounds[1]):
        return None
    return Clip(bounds[0] if low else low, bounds[1] if high else high)


def reaching(node: Node | None, factor: Array, bounds: Range, step: float, seen: Array) -> Array:
    """Factors, no smaller, for which the bounds of a clip lie at those of a code or beyond.

    The same factors if what was seen would leave the code by more than a ``step``.
    """
    if node is None or not isinstance(node.op, Clip):
        return factor
    both = zip((node.op.low, node.op.high), bounds, strict=True)
    least = max((bound / end for end, bound in both if end), default=0.0)
    wider = np.maximum(factor, np.float32(least))
    low, high = float((seen * wider).min()), float((seen * wider).max())
    return wider if bounds[0] - step <= low and high <= bounds[1] + step else factor
