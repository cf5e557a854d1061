"""Fold scales, shifts, pads and average pools into the linear layer beside them.

What remains are convolutions, dense layers, sums of branches, clips and max pools; an affine map, a
sum pool or a pad that no neighbour can take stays, and becomes a population of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Type, Value, origins, rewrite, size
from qcompiler.ir.ann import Affine, Clip, Conv, Dense, MaxPool, Pad, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape, Take, Transpose, View, arrange

from .base import Pass
from .concat import concat_as_sum, concat_rules
from .linear import fold_before, fold_behind, parameters, relinear
from .margins import margin_rules
from .pooling import pool_into_conv, pool_into_dense
from .sums import sum_rules

_BRANCHES = (sum_rules, margin_rules, concat_rules)
_LOWEST = -1e38  # what exporters write for minus infinity


@dataclass(frozen=True)
class FoldLinear(Pass):
    """Fold linear chains into the next, or else the previous, linear layer."""

    name: ClassVar[str] = "fold-linear"

    def __call__(self, graph: Graph) -> Graph:
        """Apply the rules of this module until none matches."""
        moves = (_merge_affines, _clip_first, _affine_behind_view, _affine_behind_pool)
        folds = (_views, _affine_behind_linear, _affine_before_linear, _fill_pad, _pad_into_next)
        rules = (*moves, *folds, pool_into_conv, pool_into_dense, *_BRANCHES)
        return rewrite(rewrite(graph, *rules), *rules, concat_as_sum)


def _sole(node: Node, graph: Graph, *kinds: type) -> Node | None:
    """The producer of the node's first operand, if it is of a kind and only this node reads it."""
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, kinds):
        return None
    return inner if graph.only_user(inner.result) is node else None


def _constants(node: Node) -> tuple[Array, Array]:
    scale, shift = node.operands[1:]
    assert isinstance(scale, Constant) and isinstance(shift, Constant)
    return scale.data, shift.data


def _between(graph: Graph, node: Node, type_: Type, suffix: str = ":moved") -> Value:
    """A fresh value for what now stands between two exchanged nodes."""
    return Value(graph.fresh(node.result.name + suffix), type_.layout)


def _affine(
    source: Operand, scale: Array, shift: Array, result: Value, origin: tuple[str, ...]
) -> Node:
    name = result.name
    constants = (
        Constant(f"{name}:scale", scale.astype(np.float32)),
        Constant(f"{name}:shift", shift.astype(np.float32)),
    )
    return Node(Affine(), (source, *constants), result, origin)


def _merge_affines(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    if not isinstance(node.op, Affine) or not (inner := _sole(node, graph, Affine)):
        return None
    (first, offset), (second, shift) = _constants(inner), _constants(node)
    moved = offset.astype(np.float64) * second + shift
    gain = first.astype(np.float64) * second
    return (_affine(inner.operands[0], gain, moved, node.result, origins(inner, node)),)


def _affine_behind_linear(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    if not isinstance(node.op, Affine) or not (inner := _sole(node, graph, Conv, Dense)):
        return None
    found = fold_behind(inner, node, *_constants(node))
    return (found,) if found else None


def _affine_before_linear(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    inner = _sole(node, graph, Affine)
    found = fold_before(node, inner, *_constants(inner)) if inner else None
    return (found,) if found else None


def _affine_behind_view(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """``view(affine(x))`` is ``affine'(view(x))``: brings the affine map to the next layer."""
    if not isinstance(node.op, Reshape | Transpose | Take):
        return None
    if not (inner := _sole(node, graph, Affine)):
        return None
    view, shape = node.op, inner.result.type.shape
    scale, shift = (_arranged(view, array, shape) for array in _constants(inner))
    seen = _between(graph, node, node.result.type)
    return (
        replace(node, operands=(inner.operands[0],), result=seen),
        _affine(seen, scale, shift, node.result, inner.origin),
    )


def _arranged(view: View, array: Array, shape: tuple[int, ...]) -> Array:
    if array.size == 1:
        return array.reshape(())
    spread: Array = arrange(view, np.broadcast_to(array, shape)[None])
    return spread[0] if spread.ndim > 1 else spread


def _affine_behind_pool(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A positive scale and a shift of each channel commute with the maximum."""
    if not isinstance(node.op, MaxPool) or not (inner := _sole(node, graph, Affine)):
        return None
    scale, shift = _constants(inner)
    rank = len(node.result.type.shape)
    if scale.min() <= 0 or any(
        n > 1 for a in (scale, shift) for n in ((1,) * (rank - a.ndim) + a.shape)[1:]
    ):
        return None
    pooled = _between(graph, node, node.result.type)
    return (
        replace(node, operands=(inner.operands[0],), result=pooled),
        _affine(pooled, scale, shift, node.result, inner.origin),
    )


def _clip_first(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A clip commutes with the maximum and with views, and two clips are one."""
    if not isinstance(node.op, Clip):
        return None
    clip = node.op
    if inner := _sole(node, graph, Clip):
        assert isinstance(inner.op, Clip)
        if (merged := _both(inner.op, clip)) is None:
            return None
        return (replace(node, op=merged, operands=inner.operands, origin=origins(inner, node)),)
    inner = _sole(node, graph, MaxPool, Reshape, Transpose, Take)
    if inner is None or graph.producer(inner.operands[0]) is None:
        return None
    clipped = _between(graph, node, inner.operands[0].type)
    return (
        Node(clip, (inner.operands[0],), clipped, node.origin),
        replace(inner, operands=(clipped,), result=node.result),
    )


def _both(first: Clip, second: Clip) -> Clip | None:
    lows = [bound for bound in (first.low, second.low) if bound is not None]
    highs = [bound for bound in (first.high, second.high) if bound is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    return None if low is not None and high is not None and low > high else Clip(low, high)


def _fill_pad(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Padding with v is padding with 0 between a shift by -v and one by v."""
    if not isinstance(node.op, Pad) or node.op.value == 0 or not np.isfinite(node.op.value):
        return None
    reader = graph.only_user(node.result)
    if reader is None or not isinstance(reader.op, Conv):
        return None
    one, filling = np.ones((), np.float32), np.asarray(node.op.value, np.float32)
    shifted = _between(graph, node, node.operands[0].type)
    padded = _between(graph, node, node.result.type, ":padded")
    return (
        _affine(node.operands[0], one, -filling, shifted, node.origin),
        Node(replace(node.op, value=0.0), (shifted,), padded, node.origin),
        _affine(padded, one, filling, node.result, node.origin),
    )


def _pad_into_next(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Padding in space moves into the kernel that slides over it."""
    inner = _sole(node, graph, Pad)
    if inner is None or not isinstance(node.op, Conv | SumPool | MaxPool):
        return None
    assert isinstance(inner.op, Pad)
    rank = len(inner.op.pads) // 2
    begins, ends = inner.op.pads[:rank], inner.op.pads[rank:]
    added = begins[1:] + ends[1:]
    if begins[0] or ends[0] or not _same_filling(node, inner, graph):
        return None
    pads = tuple(a + b for a, b in zip(node.op.pads, added, strict=True))
    operands = (inner.operands[0], *node.operands[1:])
    merged = replace(node.op, pads=pads)
    return (replace(node, op=merged, operands=operands, origin=origins(inner, node)),)


def _same_filling(node: Node, pad: Node, graph: Graph) -> bool:
    """Whether the pad's value is what the kernel's own padding would contribute."""
    assert isinstance(pad.op, Pad)
    if not isinstance(node.op, MaxPool):
        return pad.op.value == 0
    if any(node.op.pads):
        return False
    if pad.op.value <= _LOWEST:
        return True
    source = graph.producer(pad.operands[0])
    rank = len(node.op.kernel)
    begins, ends = pad.op.pads[1 : rank + 1], pad.op.pads[rank + 2 :]
    inside = all(max(b, e) < k for b, e, k in zip(begins, ends, node.op.kernel, strict=True))
    low = source.op.low if source is not None and isinstance(source.op, Clip) else None
    return pad.op.value == 0 and inside and low is not None and low >= 0


# What keeps layers, and sums of layers, in the form that `groups` looks for.
SUMS = (_merge_affines, _affine_before_linear, sum_rules)


def _views(node: Node, graph: Graph) -> tuple[Node, ...] | Value | None:
    """Views that do nothing go, two of a kind become one, a dense layer absorbs them."""
    source = node.operands[0] if node.operands else None
    inner = graph.producer(source) if source is not None else None
    if isinstance(node.op, Reshape | Transpose) and isinstance(source, Value):
        straight = not isinstance(node.op, Transpose) or node.op.perm == tuple(
            range(len(node.op.perm))
        )
        if straight and node.result.type.shape == source.type.shape:
            return source
    if inner is None or not isinstance(inner.op, Reshape | Transpose):
        return None
    origin = origins(inner, node)
    match node.op, inner.op:
        case Reshape(), Reshape():
            return (replace(node, operands=inner.operands, origin=origin),)
        case Transpose(outer), Transpose(first):
            perm = Transpose(tuple(first[axis] for axis in outer))
            return (replace(node, op=perm, operands=inner.operands, origin=origin),)
        case Dense(), _:
            return _dense_behind_view(node, inner, inner.op, origin)
    return None


def _dense_behind_view(
    node: Node, inner: Node, view: Reshape | Transpose, origin: tuple[str, ...]
) -> tuple[Node, ...] | None:
    found = parameters(node)
    if found is None:
        return None
    if isinstance(view, Reshape):
        return (replace(node, operands=(inner.operands[0], *node.operands[1:]), origin=origin),)
    shape = inner.operands[0].type.shape
    places = np.arange(size(inner.operands[0].type)).reshape(1, *shape)
    weight = np.empty_like(found[0])
    weight[:, arrange(view, places).reshape(-1)] = found[0]
    return (replace(relinear(node, inner.operands[0], weight, found[1]), origin=origin),)
