"""A clip behind a leaky ReLU bounds both of its parts: then their sum needs no population.

min(max(a max(x, 0) + b min(x, 0), low), high) = a clip(x, 0, high / a) + b clip(x, low / b, 0)
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, origins
from qcompiler.ir.ann import Add, Affine, Clip
from qcompiler.ir.kernels import Array

from .clips import is_code
from .neighbours import affine, fresh_between, only_producer, scale_and_shift

_RELU, _BELOW = Clip(0.0), Clip(None, 0.0)


class _Part(NamedTuple):
    """One of the two clips at zero, and the positive slope of what it hands on."""

    clip: Node
    slope: Array


def clip_into_parts(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Move a clip with bounds around zero into the two parts of the sum before it."""
    total = only_producer(node, graph, Add) if isinstance(node.op, Clip) else None
    if total is None or node.arrays or is_code(node.result):
        return None
    assert isinstance(node.op, Clip)
    low, high = node.op.low, node.op.high
    if node.op.nearest or (low is not None and low >= 0) or (high is not None and high <= 0):
        return None
    parts = [part for operand in total.operands if (part := _part(graph, operand, total))]
    if len(total.operands) != 2 or not _are_opposite(parts):
        return None
    made = [_bounded(graph, part, low, high) for part in parts]
    operands = tuple(slope.result for _, slope in made)
    last = replace(total, operands=operands, result=node.result, origin=origins(total, node))
    return (*(one for both in made for one in both), last)


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
