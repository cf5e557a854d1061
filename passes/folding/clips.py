"""Clips merge with each other and commute with what only scales or arranges.

The result of a clip that has a range and levels is a code of a quantised model. A code stays what
it is: it may only be cut at one of its levels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Tensor, Value, origins
from qcompiler.ir.ann import Affine, Clip

from .neighbours import affine, fresh_between, only_producer, scale_and_shift

_SAME = 1e-6  # relative difference of scales that counts as none
_ON_LEVEL = 1e-4  # levels by which a bound may miss one


def is_code(value: Value) -> bool:
    """Whether a value has the range and the levels of a code."""
    type_ = value.type
    return isinstance(type_, Tensor) and type_.range is not None and type_.t_max is not None


def merge_clips(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Merge two consecutive clips."""
    if not isinstance(node.op, Clip) or not (inner := only_producer(node, graph, Clip)):
        return None
    assert isinstance(inner.op, Clip)
    if inner.arrays or node.arrays:
        return None  # other bounds for each channel
    merged = _both(inner.op, node.op)
    op, result, first = merged, node.result, inner.result
    if merged.low is not None and merged.low == merged.high:
        if is_code(first) or is_code(result):
            return None
        value = np.full((1,) * len(result.type.shape), merged.low)
        return (affine(inner.operands[0], 0 * value, value, result, origins(inner, node)),)
    if is_code(first) or is_code(result):
        if is_code(first) and is_code(result) and not _same_scale(first, result):
            return None
        rounds = not is_code(first)
        found = _cut(result if rounds else first, merged, rounds)
        if found is None:
            return None
        result = replace(result, type=found)
        assert found.range is not None
        op = Clip(*found.range)
    origin = origins(inner, node)
    return (replace(node, op=op, operands=inner.operands, result=result, origin=origin),)


def _both(first: Clip, second: Clip) -> Clip:
    """One clip behind another; its bounds are equal if they have no values in common."""
    ends = [_clipped(bound, second) for bound in (first.low, first.high)]
    low = second.low if ends[0] is None else ends[0]
    high = second.high if ends[1] is None else ends[1]
    return Clip(low, high)


def _clipped(bound: float | None, clip: Clip) -> float | None:
    if bound is None:
        return None
    bound = bound if clip.low is None else max(bound, clip.low)
    return bound if clip.high is None else min(bound, clip.high)


def _same_scale(one: Value, other: Value) -> bool:
    """Whether two codes have the same distance between levels."""
    scales = []
    for type_ in (one.type, other.type):
        assert isinstance(type_, Tensor) and type_.range and type_.t_max
        scales.append((type_.range[1] - type_.range[0]) / (type_.t_max - 1))
    return abs(scales[0] / scales[1] - 1) < _SAME


def _cut(value: Value, clip: Clip, rounds: bool) -> Tensor | None:
    """The type of a code whose numbers lie within a clip; None if it has no such code.

    ``rounds`` says that the clip comes first: then its bounds are rounded as well.
    """
    type_ = value.type
    assert isinstance(type_, Tensor) and type_.range and type_.t_max
    low, high = type_.range
    assert clip.low is not None and clip.high is not None
    scale = (high - low) / (type_.t_max - 1)
    ends = [(end - low) / scale for end in (clip.low, clip.high)]
    levels = [float(np.rint(end)) for end in ends]
    if not rounds and max(abs(a - b) for a, b in zip(ends, levels, strict=True)) > _ON_LEVEL:
        return None
    first, last = levels
    if last - first < 1:
        return None
    if (first, last) == (0, type_.t_max - 1):
        return type_
    bounds = (low + first * scale, low + last * scale)
    return replace(type_, range=bounds, t_max=int(last - first) + 1)


def clip_next_to_code(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A clip moves behind the scale and shift between it and a code."""
    if not isinstance(node.op, Affine) or not (inner := only_producer(node, graph, Clip)):
        return None
    user = graph.only_user(node.result)
    if user is None or not isinstance(user.op, Clip) or not is_code(user.result):
        return None
    scale, shift = scale_and_shift(node)
    if is_code(inner.result) or inner.arrays or scale.min() <= 0:
        return None
    assert isinstance(inner.op, Clip)
    ends: list[float | None] = []
    for end in (inner.op.low, inner.op.high):
        moved = None if end is None else np.asarray(end * scale.astype(np.float64) + shift)
        if moved is not None and moved.max() - moved.min() > 0:
            return None  # another bound for each channel
        ends.append(None if moved is None else float(moved.max()))
    scaled = fresh_between(graph, node, node.result.type)
    return (
        affine(inner.operands[0], scale, shift, scaled, node.origin),
        Node(Clip(ends[0], ends[1]), (scaled,), node.result, inner.origin),
    )


def scale_behind_code(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A code that is only read scaled is scaled itself."""
    if not isinstance(node.op, Affine) or not (inner := only_producer(node, graph, Clip)):
        return None
    scale, shift = scale_and_shift(node)
    alike = scale.size == shift.size == 1 and scale.min() > 0
    if not (alike and is_code(inner.result) and graph.is_output(node.result)):
        return None
    assert isinstance(inner.op, Clip) and isinstance(inner.result.type, Tensor)
    gain, offset, type_ = float(scale.reshape(())), float(shift.reshape(())), inner.result.type
    assert type_.range is not None
    low, high = (gain * end + offset for end in type_.range)
    if is_code(node.result):
        assert isinstance(node.result.type, Tensor) and node.result.type.range
        low, high = node.result.type.range
    scaled = fresh_between(graph, node, inner.operands[0].type)
    ranged = replace(type_, range=(low, high))
    return (
        affine(inner.operands[0], scale, shift, scaled, node.origin),
        Node(Clip(low, high), (scaled,), replace(node.result, type=ranged), inner.origin),
    )
