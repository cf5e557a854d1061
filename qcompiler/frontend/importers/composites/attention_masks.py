"""Masks of attention as one operator: constant ones, of windows, and those that depend on data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.importers.elementwise.arithmetic import add
from qcompiler.frontend.importers.elementwise.choices import where
from qcompiler.frontend.importers.elementwise.masks import ABSENT, LOWEST, SWALLOWS
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.ir import Value
from qcompiler.ir.ann import Function, Pad
from qcompiler.ir.view import Reshape

_ABOVE_WINDOWS = LOWEST / 100  # onnxruntime never shows what a window hides
_AXES = "give the mask axes for the batch, the heads, the queries and the keys; each may be 1 long"
_ROWS = "give one with axes for the batch and the keys, 1 where a key is present"


def constant_mask(node: NodeContext, index: int, keys: int) -> Array:
    """What is added to the scores; hidden where a mask of booleans is false, or where it ends."""
    known = node.item(index)
    if isinstance(known, Value) and len(known.type.shape) == 3:
        return np.where(np.arange(keys) < known.type.shape[2], np.float32(0), np.float32(LOWEST))
    if not isinstance(known, KnownArray):
        return np.zeros((), np.float32)
    given = per_sample(node, _without_axes(known), 3)
    if given.dtype.kind == "b":
        given = np.where(given, np.float32(0), np.float32(LOWEST))
    missing = keys - given.shape[-1]
    if missing > 0:  # what a mask does not cover is hidden
        pads = [(0, 0)] * (given.ndim - 1) + [(0, missing)]
        given = np.pad(given, pads, constant_values=LOWEST)
    found: Array = np.maximum(given.astype(np.float32), np.float32(LOWEST))
    return found


def _without_axes(known: KnownArray) -> KnownArray:
    """A mask of three axes has none for the batch."""
    if known.arrays[0].ndim != 3:
        return known
    return known.changed(lambda array: array[None], known.name)


def window(queries: int, keys: int, ahead: int, latest: int) -> Array:
    """Hides keys further ahead of a query, or further behind it, than so many; -1 is no limit."""
    further = np.arange(keys) - np.arange(queries)[:, None]
    hidden = ((ahead >= 0) & (further < -ahead)) | ((latest >= 0) & (further > latest))
    return np.where(hidden, np.float32(LOWEST), np.float32(0))


def masks_of_data(node: NodeContext, index: int, keys: int) -> tuple[Value, ...]:
    """A mask that depends on data: numbers to add, or booleans, true where a key is present."""
    mask = node.item(index)
    if not isinstance(mask, Value):
        return ()
    if len(mask.type.shape) != 3:
        raise Refused(
            f"{node.op_type} with a mask of data of other than four axes is not supported", _AXES
        )
    if (missing := keys - mask.type.shape[2]) <= 0:
        return (mask,)
    covering = node.part("covering", Pad((0, 0, 0, 0, 0, missing)), mask)
    if of_booleans(node, mask):
        node.scope.kinds[covering.name] = TensorProto.BOOL
    return (covering,)


def padding_masks(node: NodeContext, index: int) -> tuple[Value, ...]:
    """What onnxruntime adds to scores where keys are absent: 0 for each key, or each query and key.

    The scores of a row that is hidden keep their shares, unless the number swallows them.
    """
    mask = node.item(index)
    if not isinstance(mask, Value):
        return ()
    if len(mask.type.shape) not in (1, 2):
        raise Refused(f"{node.op_type} with such a padding mask is not supported", _ROWS)
    shape = (1,) * (3 - len(mask.type.shape)) + mask.type.shape
    present = node.part("present", Reshape(shape), mask)
    return (node.part("padding", Function(f"x 0.5 > 0 {_hiding(node)!r} where"), present),)


def constant_padding(node: NodeContext, index: int, keys: int) -> Array:
    """The same of a constant mask."""
    known = node.item(index)
    if not isinstance(known, KnownArray):
        return np.zeros((), np.float32)
    rank = known.arrays[0].ndim - 1
    if rank not in (1, 2):
        raise Refused(f"{node.op_type} with such a padding mask is not supported", _ROWS)
    present = per_sample(node, known, rank) > 0
    if present.shape[-1] != keys:
        raise InvalidNode(f"has a padding mask for {present.shape[-1]} of {keys} keys")
    return np.where(present, np.float32(0), np.float32(_hiding(node)))


def _hiding(node: NodeContext) -> float:
    """What is added to the score of a key that is absent."""
    return max(node.real("mask_filter_value", ABSENT, infinite=True), _ABOVE_WINDOWS)


def without_common(mask: Array) -> tuple[Array, Array]:
    """A constant mask without what hides whole rows, and 0 for rows whose scores that swallows."""
    top = mask.max(axis=-1, keepdims=True)
    rows: Array = np.where(top <= ABSENT, mask - top, mask)
    return rows, (top > SWALLOWS).astype(np.float32)


def behind(node: NodeContext, scores: Value, mask: Value) -> Value:
    """Scores behind a mask that depends on data."""
    if not of_booleans(node, mask):
        return add(replace(node, inputs=(scores, mask)))
    lowest = KnownArray((np.array(LOWEST, np.float32),) * len(node.scope.probes), "lowest")
    return where(replace(node, inputs=(mask, scores, lowest)))


def of_booleans(node: NodeContext, mask: Value) -> bool:
    """Whether a mask tells which keys are present: where none is, the shares of all are 0."""
    return mask.name in node.scope.kinds
