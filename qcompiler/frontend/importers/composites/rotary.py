"""Importers of rotary embeddings: pairs of features turned by the angle of their position."""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.ir import Value
from qcompiler.ir.ann import Add

_SHARED = "export the model with constant positions, which all samples share, in place of an input"


def rotary_embedding(node: NodeContext) -> Value:
    """RotaryEmbedding of ONNX: its caches are constants, of positions or of tokens."""
    positions = _constant(node, 3, "positions")
    chosen = None if positions is None else per_sample(node, positions, 1)
    return _embedded(node, chosen, (1, 2))


def rotary_embedding_of_onnxruntime(node: NodeContext) -> Value:
    """RotaryEmbedding of onnxruntime: positions of tokens, or that of the first."""
    if node.integer("is_packed_batching", 0) or node.real("scale", 1.0) != 1.0:
        raise Refused(
            "RotaryEmbedding with packed samples or a scale is not supported",
            "export the model with the RotaryEmbedding of ONNX, of opset 23",
        )
    positions = _constant(node, 1, "positions")
    if positions is None:
        raise InvalidNode("has no positions")
    chosen = per_sample(node, positions, 1)
    if chosen.size == 1:
        chosen = chosen.reshape(-1)[0] + np.arange(node.activation().type.shape[-2])
    return _embedded(node, chosen, (2, 3))


def _embedded(node: NodeContext, positions: Array | None, caches: tuple[int, int]) -> Value:
    """``x cos - y sin`` and ``y cos + x sin`` of pairs (x, y); other features stay.

    Samples are ``heads x tokens x features``, or ``tokens x features`` of all heads.
    """
    x = node.activation()
    shape, joined = x.type.shape, len(x.type.shape) == 2
    if len(shape) not in (2, 3):
        raise InvalidNode(f"turns tokens, which samples of shape {shape} are not")
    cos, sin = (
        _of_tokens(node, index, what, positions, shape[-2])
        for index, what in zip(caches, ("cosines", "sines"), strict=True)
    )
    pairs, heads = cos.shape[1], 1
    if joined:
        heads = node.integer("num_heads", 0) or max(1, shape[1] // (2 * pairs))
    features, turned = shape[-1] // heads, node.integer("rotary_embedding_dim", 0)
    whole = turned or features
    if cos.shape != sin.shape or shape[-1] % heads or not 2 * pairs == whole <= features:
        raise InvalidNode(
            f"turns {pairs} pairs of {whole} features, in {heads} heads of {shape[-1]}"
        )
    first, second = _pairs(pairs, bool(node.integer("interleaved", 0)))
    kept = np.ones((shape[-2], features), np.float32)
    mixed, partners = np.zeros_like(kept), np.arange(features)
    kept[:, first] = kept[:, second] = cos
    mixed[:, first], mixed[:, second] = -sin, sin
    partners[first], partners[second] = second, first
    order = (np.arange(heads)[:, None] * features + partners).reshape(-1)
    others = take_indices(node, x, len(shape) - 1, order.tolist())
    grown = (array.reshape((1,) * (len(shape) - 2) + array.shape) for array in (kept, mixed))
    one, other = (np.tile(array, heads) for array in grown)
    return node.add(Add(), scaled_by(node, x, one, "kept"), scaled_by(node, others, other, "mixed"))


def _of_tokens(
    node: NodeContext, index: int, what: str, positions: Array | None, tokens: int
) -> Array:
    """The cosines or sines of all tokens, ``tokens x pairs``."""
    known = _constant(node, index, what)
    if known is None:
        raise InvalidNode(f"has no {what}")
    if positions is None:
        found = float32(per_sample(node, known, 2), known.name)
    else:
        cache = node.weight(index, what)[1]
        within = positions.dtype.kind in "iu" and cache.ndim == 2
        if not within or not ((positions >= 0) & (positions < len(cache))).all():
            raise InvalidNode(f"has positions that its {what} of shape {cache.shape} do not hold")
        found = cache[positions.astype(np.int64)]
    if found.ndim != 2 or len(found) != tokens:
        raise InvalidNode(f"has {what} of shape {found.shape} for {tokens} tokens")
    return found


def _constant(node: NodeContext, index: int, what: str) -> KnownArray | None:
    if isinstance(node.item(index), Value):
        raise Refused(f"the {what} of {node.op_type} depend on the data", _SHARED)
    return node.known(index, what)


def _pairs(count: int, interleaved: bool) -> tuple[Array, Array]:
    """The first and the second feature of every pair: neighbours, or halves."""
    order = np.arange(2 * count)
    return (order[::2], order[1::2]) if interleaved else (order[:count], order[count:])
