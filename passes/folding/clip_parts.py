"""A clip or max pool behind a leaky ReLU is one of each part: then their sum needs no population.

min(max(a max(x, 0) + b min(x, 0), low), high) = a clip(x, 0, high / a) + b clip(x, low / b, 0)

The largest of a window is above zero, and then the largest of what is below is zero, or it is not,
and then the largest of what is above is zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, origins
from qcompiler.ir.ann import Add, Affine, Clip, MaxPool
from qcompiler.ir.kernels import Array

from .clips import is_code
from .neighbours import affine, fresh_between, is_of_channels, only_producer, scale_and_shift

_RELU, _BELOW = Clip(0.0), Clip(None, 0.0)


class _Part(NamedTuple):
    """One of the two clips at zero, and the positive slope of what it hands on."""

    clip: Node
    slope: Array


def clip_into_parts(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Move a clip with bounds around zero into the two parts of the sum before it."""
    if not isinstance(node.op, Clip) or node.arrays or is_code(node.result):
        return None
    low, high = node.op.low, node.op.high
    if node.op.nearest or (low is not None and low >= 0) or (high is not None and high <= 0):
        return None
    parts = _parts(node, graph)
    return _summed(node, graph, [_bounded(graph, part, low, high) for part in parts])


def pool_into_parts(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Move a max pool into the two parts of the sum before it."""
    if not isinstance(node.op, MaxPool):
        return None
    parts, rank = _parts(node, graph), len(node.result.type.shape)
    if not all(is_of_channels(part.slope, rank) for part in parts):
        return None
    return _summed(node, graph, [_pooled(graph, part, node) for part in parts])


def _summed(node: Node, graph: Graph, parts: list[tuple[Node, Node]]) -> tuple[Node, ...] | None:
    """The sum in front of a node, of these parts and their slopes, in place of the node."""
    total = only_producer(node, graph, Add)
    if not parts or total is None:
        return None
    operands = tuple(slope.result for _, slope in parts)
    last = replace(total, operands=operands, result=node.result, origin=origins(total, node))
    return (*(one for both in parts for one in both), last)


def _parts(node: Node, graph: Graph) -> list[_Part]:
    """The two parts of a leaky ReLU that only this node reads; none if another node is there."""
    total = only_producer(node, graph, Add)
    if total is None or len(total.operands) != 2:
        return []
    parts = [part for operand in total.operands if (part := _part(graph, operand, total))]
    return parts if _are_opposite(parts) else []


def _part(graph: Graph, operand: Operand, total: Node) -> _Part | None:
    node, slope = graph.producer(operand), np.ones(())
    if node is not None and isinstance(node.op, Affine) and graph.only_user(node.result) is total:
        slope, shift = scale_and_shift(node)
        node = only_producer(node, graph, Clip)
        if np.any(shift) or not slope.min() > 0:
            return None
    if node is None or node.op not in (_RELU, _BELOW) or node.arrays or is_code(node.result):
        return None
    return _Part(node, slope) if graph.only_user(node.result) is not None else None


def _are_opposite(parts: list[_Part]) -> bool:
    """Whether these are what is above zero of a value, and what is below."""
    sources = {part.clip.operands for part in parts}
    return len(sources) == 1 and {part.clip.op for part in parts} == {_RELU, _BELOW}


def _bounded(graph: Graph, part: _Part, low: float | None, high: float | None) -> tuple[Node, Node]:
    """A clip with the bound that its slope leaves, and its slope."""
    clip, slope = part.clip, part.slope.astype(np.float64)
    steepest, bound = float(slope.max()), high if clip.op == _RELU else low
    end = None if bound is None else bound / steepest
    op = Clip(0.0, end) if clip.op == _RELU else Clip(end, 0.0)
    result = fresh_between(graph, clip, clip.result.type, ":bounded")
    times: tuple[Constant, ...] = ()
    if end is not None and slope.min() < steepest:
        times = (Constant(f"{result.name}:times", (steepest / slope).astype(np.float32)),)
    moved = replace(clip, op=op, operands=(*clip.operands, *times), result=result)
    scaled = fresh_between(graph, clip, clip.result.type, ":slope")
    return moved, affine(result, part.slope, np.zeros(()), scaled, clip.origin)


def _pooled(graph: Graph, part: _Part, pool: Node) -> tuple[Node, Node]:
    """A max pool of a part, and the slope of the part."""
    result = fresh_between(graph, part.clip, pool.result.type, ":pooled")
    scaled = fresh_between(graph, part.clip, pool.result.type, ":slope")
    pooled = replace(pool, operands=(part.clip.result,), result=result)
    return pooled, affine(result, part.slope, np.zeros(()), scaled, part.clip.origin)
