"""States that end in a clip, or in sums of them: factors of elements go through, into layers.

A bound at zero stays. Others would differ from element to element; factors for which they lie at
the ends of the state's code, or beyond, leave them to the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Range, Value
from qcompiler.ir.ann import Add, Affine, Clip
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.passes.folding.neighbours import affine, is_ranged, scale_and_shift

_ON_BOUND = 1e-6  # relative difference that counts as none


def through_clips(
    graph: Graph, node: Node, factor: Array, bounds: Range, result: Value, stays: bool
) -> list[Node] | None:
    """Nodes whose result is that of a node times a factor that spreads over it.

    The factor stands in front of the node's clip, within the ``bounds`` of a code, and of clips at
    zero that it adds up, if nothing else reads these, as a node that ``stays`` would. None if there
    are none.
    """
    clip = _clip_of_product(node, factor, bounds)
    if clip is None and not _commutes(node):
        return None
    front = [] if stays else _in_front(graph, node)  # copies would be populations
    if clip is None and not any(isinstance(inner.op, Clip) for inner in front):
        return None
    last = node if clip is None else replace(node, op=clip)
    known = {inner.result for inner in front}
    read = dict.fromkeys(one for inner in (node, *front) for one in _read(inner))
    times = {one: Value(graph.fresh(f"{one.name}:times"), one.type.layout) for one in read}
    nodes = [
        affine(one, factor, 0 * factor, times[one], node.origin) for one in read if one not in known
    ]
    times[node.result] = result
    return [*nodes, *(_of_products(one, times, factor) for one in (*front, last))]


def _in_front(graph: Graph, node: Node) -> list[Node]:
    """What a factor goes through in front of a node, and nothing else reads."""
    found: list[Node] = []
    names, read = {node.result.name}, set(_read(node))
    for inner in reversed(graph.nodes):
        value = inner.result
        if value not in read or graph.is_output(value) or not _commutes(inner):
            continue
        if names.issuperset(user.result.name for user in graph.users(value)):
            found.insert(0, inner)
            names.add(value.name)
            read |= set(_read(inner))
    return found


def _of_products(node: Node, times: dict[Value, Value], factor: Array) -> Node:
    """A node that reads products, and computes one."""
    if isinstance(node.op, Affine):
        scale, shift = (expand_to_rank(array, factor.ndim) for array in scale_and_shift(node))
        source = times[next(_read(node))]
        return affine(source, scale, shift * factor, times[node.result], node.origin)
    operands = (times.get(one, one) if isinstance(one, Value) else one for one in node.operands)
    return replace(node, operands=tuple(operands), result=times[node.result])


def _commutes(node: Node) -> bool:
    """Whether a node of products is the product of what it was."""
    alike = all(one.type.shape == node.result.type.shape for one in _read(node))
    known = isinstance(node.op, Add | Affine) or node.op in (Clip(0.0), Clip(None, 0.0))
    return alike and known and not is_ranged(node.result)


def _read(node: Node) -> Iterator[Value]:
    yield from (operand for operand in node.operands if isinstance(operand, Value))


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
