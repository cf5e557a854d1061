"""Importers of attention as one operator: of ONNX, and of onnxruntime's optimiser."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.elementwise.arithmetic import behind_masks
from qcompiler.frontend.importers.elementwise.masks import LOWEST
from qcompiler.frontend.importers.layers import linear
from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, Function
from qcompiler.ir.view import Reshape, Transpose

from .attention_masks import (
    behind,
    constant_mask,
    constant_padding,
    masks_of_data,
    of_booleans,
    padding_masks,
    window,
    without_common,
)
from .matrices import multiplied
from .softmax import in_spikes

_CAUSAL = "give what hides keys as attention_bias, with unidirectional=0"
_EXPORT = "export the model without past keys and values, for one fixed length"


class Heads(NamedTuple):
    """Queries, keys and values, each ``heads x tokens x features`` of a sample."""

    queries: Value
    keys: Value
    values: Value


def attention(node: NodeContext) -> Value:
    """Attention of ONNX, without a cache."""
    _refuse_given(node, range(4, 7))
    q, k, v = (node.activation(index) for index in range(3))
    joined = len(q.type.shape) == 2
    counts = [node.integer("q_num_heads", 0)] + [node.integer("kv_num_heads", 0)] * 2
    if joined and min(counts) < 1:
        raise InvalidNode("has no q_num_heads or kv_num_heads")
    heads = Heads(*(_apart(node, x, n) for x, n in zip((q, k, v), counts, strict=True)))
    latest = 0 if node.integer("is_causal", 0) else node.integer("right_window_size", -1)
    ahead = node.integer("left_window_size", -1)
    found = _attended(
        node,
        heads,
        node.real("scale", 0.0),
        _mask(node, 3, heads, ahead, latest),
        masks_of_data(node, 3, heads.keys.type.shape[1]),
        node.real("softcap", 0.0),
    )
    return _joined(node, found) if joined else _named(node, found)


def multi_head_attention(node: NodeContext) -> Value:
    """MultiHeadAttention of onnxruntime: queries, keys and values are projected already."""
    _refuse_given(node, range(6, 10))
    count, bias = node.integer("num_heads", 0), node.fixed(3, "bias")
    if node.item(1) is None or node.item(2) is None:
        raise Refused("MultiHeadAttention with packed keys and values is not supported")
    values = [node.activation(index) for index in range(3)]
    if any(len(value.type.shape) != 2 for value in values):
        raise Refused("MultiHeadAttention whose keys are split into heads is not supported")
    if bias is not None:
        ends = np.cumsum([value.type.shape[-1] for value in values])[:-1]
        parts = np.split(bias, ends)
        values = [_shifted(node, *pair) for pair in zip(values, parts, strict=True)]
    return _of_onnxruntime(node, Heads(*(_apart(node, value, count) for value in values)), 4)


def packed_attention(node: NodeContext) -> Value:
    """Attention of onnxruntime: one matrix projects to queries, keys and values."""
    _refuse_given(node, (4, 6))
    if node.integer("do_rotary", 0):
        raise Refused("com.microsoft.Attention with rotary embeddings is not supported")
    inner = replace(node.within("projected"), inputs=(node.item(0), node.item(1)))
    packed, bias = linear.matmul(inner), node.fixed(2, "bias")
    if bias is not None:
        packed = _shifted(node, packed, bias)
    length = packed.type.shape[-1]
    sizes = node.integers("qkv_hidden_sizes") or (length // 3,) * 3
    if sum(sizes) != length or len(sizes) != 3:
        raise InvalidNode(f"has qkv_hidden_sizes {sizes} for {length} features")
    ends = np.cumsum((0, *sizes)).tolist()
    parts = (
        take_indices(node.within(f"part{n}"), packed, 1, range(ends[n], ends[n + 1]))
        for n in range(3)
    )
    count = node.integer("num_heads", 0)
    return _of_onnxruntime(node, Heads(*(_apart(node, part, count) for part in parts)), 3)


def _of_onnxruntime(node: NodeContext, heads: Heads, padding: int) -> Value:
    latest = 0 if node.integer("unidirectional", 0) else -1
    queries, keys = (x.type.shape[1] for x in heads[:2])
    if queries < keys and latest == 0:
        what = f"{node.op_type} with unidirectional=1 and fewer queries than keys is not supported"
        raise Refused(f"{what}: onnxruntime shows all keys to the last query", _CAUSAL)
    mask = _mask(node, 5, heads, -1, latest) + constant_padding(node, padding, keys)
    masks = (*padding_masks(node, padding), *masks_of_data(node, 5, keys))
    return _joined(node, _attended(node, heads, node.real("scale", 0.0), mask, masks))


def _refuse_given(node: NodeContext, indices: tuple[int, ...] | range) -> None:
    if any(node.item(index) is not None for index in indices):
        raise Refused(f"{node.op_type} with a cache is not supported", _EXPORT)


def _shifted(node: NodeContext, x: Value, shift: Array) -> Value:
    rank = len(x.type.shape)
    one = node.constant("one", np.ones((1,) * rank, np.float32))
    grown = shift.reshape((1,) * (rank - 1) + shift.shape)
    return node.part("biased", Affine(), x, one, node.constant("bias", grown))


def _apart(node: NodeContext, x: Value, count: int) -> Value:
    """Tokens of joined heads as heads; heads stay as they are."""
    shape = x.type.shape
    if len(shape) == 3:
        return x
    if len(shape) != 2 or count < 1 or shape[1] % count:
        raise InvalidNode(f"has {count} heads for samples of shape {shape}")
    tokens = node.part("split", Reshape((shape[0], count, shape[1] // count)), x)
    return node.part("heads", Transpose((1, 0, 2)), tokens)


def _joined(node: NodeContext, heads: Value) -> Value:
    count, tokens, features = heads.type.shape
    return node.add(
        Reshape((tokens, count * features)), node.part("back", Transpose((1, 0, 2)), heads)
    )


def _named(node: NodeContext, heads: Value) -> Value:
    return node.add(Reshape(heads.type.shape), heads)


def _mask(node: NodeContext, index: int, heads: Heads, ahead: int, latest: int) -> Array:
    """What is added to scores: an operand, and a window."""
    queries, keys = (x.type.shape[1] for x in heads[:2])
    return constant_mask(node, index, keys) + window(queries, keys, ahead, latest)


def _attended(
    node: NodeContext,
    heads: Heads,
    scale: float,
    mask: Array,
    masks: tuple[Value, ...],
    softcap: float = 0.0,
) -> Value:
    """Values, mixed by the softmax of the products of queries and keys behind ``masks``."""
    q, k, v = heads
    count = q.type.shape[0]
    if count % k.type.shape[0] or k.type.shape[0] != v.type.shape[0]:
        raise InvalidNode(f"has {count} heads of queries for {k.type.shape[0]} of keys")
    for_each = [head * k.type.shape[0] // count for head in range(count)]
    k, v = (take_indices(node.within("shared"), x, 0, for_each) for x in (k, v))
    turned = node.part("turned", Transpose((0, 2, 1)), k)
    scores = multiplied(node.within("scores"), q, turned)
    factor = np.float32(scale or q.type.shape[2] ** -0.5)
    scores = scaled_by(node, scores, np.asarray(factor), "scaled")
    if softcap:
        scores = node.part("capped", Function(f"x {softcap!r} / tanh {softcap!r} *"), scores)
    mask = mask.reshape((1,) * (3 - mask.ndim) + mask.shape)
    rows, left = without_common(mask)
    scores = scaled_by(node, scores, left, "left")
    scores = behind_masks(node.within("masked"), [(scores, 1.0)], rows)
    for at, of_data in enumerate(masks):
        scores = behind(node.within(f"padded{at}"), scores, of_data)
    empty = any(of_booleans(node, one) for one in masks)
    shares = in_spikes(node.within("shares"), scores, 2, False, empty)
    seeing = (mask > LOWEST).any(axis=2, keepdims=True)  # a query that sees no key gives zeros
    return multiplied(
        node.within("mixed"), scaled_by(node, shares, seeing.astype(np.float32), "seen"), v
    )
