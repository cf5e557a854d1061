"""Fold scales, shifts, pads, average pools and resizes into the linear layer beside them.

What remains are convolutions, dense layers, sums of branches, clips and max pools. An affine map, a
sum pool or a pad that no neighbour can absorb stays and becomes a separate population.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Node, origins, rewrite
from qcompiler.ir.ann import Affine, Clip, Conv, MaxPool, Pad, SumPool
from qcompiler.ir.rewriting.rewrite import Rule
from qcompiler.passes.base import Pass, check_limits
from qcompiler.passes.folding.affine import (
    affine_before_linear,
    affine_behind_linear,
    merge_affines,
)
from qcompiler.passes.folding.arrangement.concat import concat_as_sum, concat_rules
from qcompiler.passes.folding.arrangement.rows import row_rules
from qcompiler.passes.folding.arrangement.scalars import with_axes
from qcompiler.passes.folding.arrangement.unit_axes import pad_behind_reshape
from qcompiler.passes.folding.arrangement.views import view_rules
from qcompiler.passes.folding.clip_parts import clip_into_parts, pool_into_parts
from qcompiler.passes.folding.clips import clip_next_to_code, merge_clips, scale_behind_code
from qcompiler.passes.folding.codes import levels_of_functions, with_input_codes
from qcompiler.passes.folding.dense import dense_into_dense
from qcompiler.passes.folding.images.padded_taps import without_padded_taps
from qcompiler.passes.folding.images.padding import margin_rules
from qcompiler.passes.folding.images.pooling import pool_into_conv, pool_into_dense
from qcompiler.passes.folding.images.resize import resize_into_conv
from qcompiler.passes.folding.neighbours import (
    affine,
    fresh_between,
    is_of_channels,
    only_producer,
    scale_and_shift,
)
from qcompiler.passes.folding.sums import sum_rules
from qcompiler.passes.folding.two_classes import two_class_rules

_BRANCHES = (two_class_rules, sum_rules, margin_rules, concat_rules, row_rules)
_KERNELS = (dense_into_dense, without_padded_taps)
_LOWEST = -1e38  # what exporters write for minus infinity


@dataclass(frozen=True)
class FoldLinear(Pass):
    """Fold linear chains into the next, or else the previous, linear layer.

    A pool stays a layer if the one behind it would have more than ``fan_in`` synapses a neuron with
    it (0: no limit).
    """

    name: ClassVar[str] = "fold-linear"
    fan_in: int = 0

    def __post_init__(self) -> None:
        check_limits(fan_in=self.fan_in)

    def __call__(self, graph: Graph) -> Graph:
        """Apply the rules of this module until none matches."""
        parts = (clip_into_parts, pool_into_parts)
        clips = (merge_clips, *parts, clip_next_to_code, scale_behind_code)
        moves = (merge_affines, *clips, view_rules, pad_behind_reshape, _affine_behind_pool)
        folds = (affine_behind_linear, affine_before_linear, _fill_pad, _pad_into_next)
        pools = (partial(pool, fan_in=self.fan_in) for pool in (pool_into_conv, pool_into_dense))
        rules: tuple[Rule, ...] = (*moves, *folds, *_KERNELS, *pools, *_BRANCHES)
        graph = levels_of_functions(with_input_codes(rewrite(graph, *rules)))
        graph = rewrite(rewrite(graph, *rules), *rules, concat_as_sum)
        return with_axes(rewrite(rewrite(graph, resize_into_conv), *rules))


def _affine_behind_pool(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A positive scale and a shift of each channel commute with the maximum."""
    if not isinstance(node.op, MaxPool) or not (inner := only_producer(node, graph, Affine)):
        return None
    scale, shift = scale_and_shift(inner)
    rank = len(node.result.type.shape)
    if scale.min() <= 0 or not (is_of_channels(scale, rank) and is_of_channels(shift, rank)):
        return None
    pooled = fresh_between(graph, node, node.result.type)
    return (
        replace(node, operands=(inner.operands[0],), result=pooled),
        affine(pooled, scale, shift, node.result, inner.origin),
    )


def _fill_pad(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Write padding with v as padding with 0 between a shift by -v and one by v."""
    if not isinstance(node.op, Pad) or node.op.value == 0 or not np.isfinite(node.op.value):
        return None
    reader = graph.only_user(node.result)
    if reader is None or not isinstance(reader.op, Conv):
        return None
    one, filling = np.ones((), np.float32), np.asarray(node.op.value, np.float32)
    shifted = fresh_between(graph, node, node.operands[0].type)
    padded = fresh_between(graph, node, node.result.type, ":padded")
    return (
        affine(node.operands[0], one, -filling, shifted, node.origin),
        Node(replace(node.op, value=0.0), (shifted,), padded, node.origin),
        affine(padded, one, filling, node.result, node.origin),
    )


def _pad_into_next(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Move spatial padding into the kernel that slides over it."""
    inner = only_producer(node, graph, Pad)
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
