"""Folding a sum pool into the linear layer behind it: both together are one larger kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Value, origins
from qcompiler.ir.ann import Clip, Conv, Dense, SumPool
from qcompiler.passes.folding.linear import elements_summed, parameters, replace_weights

_FREE = 1 << 16  # merged weights up to this size are always worth the population they save


def pool_into_conv(node: Node, graph: Graph, fan_in: int = 0) -> tuple[Node, ...] | None:
    """Convolution of sums: kernel ``(k-1) s d + span`` with the strides multiplied.

    The pool stays a layer if the merged kernel sums more elements than ``fan_in`` (0: no limit).
    """
    found = _pooled(node, graph)
    if found is None or not isinstance(node.op, Conv):
        return None
    inner, pool = found
    if (weights := parameters(node)) is None or not _separate(node.op, inner, pool):
        return None
    weight, bias = weights
    conv, axes = node.op, range(len(pool.kernel))
    span = [(pool.kernel[a] - 1) * pool.dilations[a] + 1 for a in axes]
    apart = [conv.dilations[a] * pool.strides[a] for a in axes]
    kernel = [(weight.shape[2 + a] - 1) * apart[a] + span[a] for a in axes]
    summed = weight.shape[1] * prod(kernel)
    if not _affordable(len(weight) * summed, graph):
        return None
    if _exceeds(fan_in, summed, node, inner):
        return _by_itself(node, graph, inner, pool)
    merged = np.zeros((*weight.shape[:2], *kernel), weight.dtype)
    for offset in _offsets(pool):
        taps = (
            slice(offset[a], offset[a] + (weight.shape[2 + a] - 1) * apart[a] + 1, apart[a])
            for a in axes
        )
        at = (slice(None), slice(None), *taps)
        merged[at] += weight
    op = replace(
        conv,
        strides=tuple(conv.strides[a] * pool.strides[a] for a in axes),
        dilations=(1,) * len(kernel),
        pads=_merged_pads(node, conv, inner, pool, kernel),
    )
    folded = replace_weights(replace(node, op=op), inner.operands[0], merged, bias)
    return (replace(folded, origin=origins(inner, node)),)


def _merged_pads(
    node: Node, conv: Conv, inner: Node, pool: SumPool, kernel: list[int]
) -> tuple[int, ...]:
    axes = range(len(kernel))
    begins = [pool.pads[a] + conv.pads[a] * pool.strides[a] for a in axes]
    lengths, outs = inner.operands[0].type.shape[1:], node.result.type.shape[1:]
    ends = (
        (outs[a] - 1) * conv.strides[a] * pool.strides[a] + kernel[a] - lengths[a] - begins[a]
        for a in axes
    )
    return (*begins, *(max(0, end) for end in ends))


def _separate(conv: Conv, inner: Node, pool: SumPool) -> bool:
    """Whether a sum that lies in the convolution's padding would reach no pixel."""
    rank = len(pool.kernel)
    lengths, sums = inner.operands[0].type.shape[1:], inner.result.type.shape[1:]
    return all(
        not (conv.pads[a] or conv.pads[rank + a])
        or (
            (pool.kernel[a] - 1) * pool.dilations[a] < pool.strides[a]
            and sums[a] * pool.strides[a] - pool.pads[a] >= lengths[a]
        )
        for a in range(rank)
    )


def pool_into_dense(node: Node, graph: Graph, fan_in: int = 0) -> tuple[Node, ...] | None:
    """A dense layer of sums: every pixel gets the weight of the sums that it is part of.

    The pool stays a layer if the merged one sums more elements than ``fan_in`` (0: no limit).
    """
    found = _pooled(node, graph)
    if found is None or not isinstance(node.op, Dense):
        return None
    inner, pool = found
    if (weights := parameters(node)) is None:
        return None
    weight, bias = weights
    source, sums = inner.operands[0].type.shape, inner.result.type.shape
    summed = prod(source)
    if not _affordable(len(weight) * summed, graph):
        return None
    if _exceeds(fan_in, summed, node, inner):
        return _by_itself(node, graph, inner, pool)
    rank = len(pool.kernel)
    ends = zip(pool.pads[:rank], source[1:], pool.pads[rank:], strict=True)
    merged = np.zeros((len(weight), source[0], *(b + n + e for b, n, e in ends)), weight.dtype)
    for offset in _offsets(pool):
        taps = (
            slice(o, o + (n - 1) * stride + 1, stride)
            for o, n, stride in zip(offset, sums[1:], pool.strides, strict=True)
        )
        at = (slice(None), slice(None), *taps)
        merged[at] += weight.reshape(len(weight), *sums)
    space = (slice(b, b + n) for b, n in zip(pool.pads[:rank], source[1:], strict=True))
    inside = (slice(None), slice(None), *space)
    cropped = merged[inside].reshape(len(weight), -1)
    folded = replace_weights(node, inner.operands[0], cropped, bias)
    return (replace(folded, origin=origins(inner, node)),)


def _pooled(node: Node, graph: Graph) -> tuple[Node, SumPool] | None:
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, SumPool):
        return None
    return (inner, inner.op) if graph.only_user(inner.result) is node else None


def _offsets(pool: SumPool) -> Iterator[tuple[int, ...]]:
    pairs = zip(pool.kernel, pool.dilations, strict=True)
    return product(*(range(0, k * d, d) for k, d in pairs))


def _affordable(merged: int, graph: Graph) -> bool:
    """Whether the merged weights are no bigger than the network they come from."""
    held = sum(constant.data.size for constant in graph.constants)
    return merged <= max(_FREE, held)


def _exceeds(fan_in: int, merged: int, *apart: Node) -> bool:
    """Whether a merged layer sums more than ``fan_in`` elements, and far more than each of two."""
    return 0 < fan_in < merged and 2 * max(map(elements_summed, apart)) <= merged


def _by_itself(node: Node, graph: Graph, inner: Node, pool: SumPool) -> tuple[Node, ...]:
    """A pool as a layer, behind a ReLU with a ReLU: then its range can have slices."""
    source = graph.producer(inner.operands[0])
    low = source.op.low if source is not None and isinstance(source.op, Clip) else None
    channels, name = inner.result.type.shape[0], inner.result.name
    weight = np.ones((channels, 1, *pool.kernel), np.float32)
    bias = np.zeros((channels, *(1,) * len(pool.kernel)), np.float32)
    pooled = Value(graph.fresh(f"{name}:pooled"), inner.result.type)
    op = Conv(pool.strides, pool.pads, pool.dilations, channels)
    layer = replace_weights(replace(inner, op=op, result=pooled), inner.operands[0], weight, bias)
    made = [layer]
    if low is not None and low >= 0:
        pooled = Value(graph.fresh(f"{name}:relu"), inner.result.type)
        made.append(Node(Clip(0.0), (layer.result,), pooled, inner.origin))
    return (*made, replace(node, operands=(pooled, *node.operands[1:])))
