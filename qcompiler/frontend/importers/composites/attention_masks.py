"""Masks of attention as one operator: constant ones, of windows, and those that depend on data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.importers.elementwise.arithmetic import add
from qcompiler.frontend.importers.elementwise.choices import where
from qcompiler.frontend.importers.elementwise.masks import ABSENT, LOWEST
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
_ROWS = "give one with an element for each key, 1 where it is present, as an input of the model"


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
    if mask is None:
        return ()
    if not isinstance(mask, Value) or len(mask.type.shape) not in (1, 2):
        raise Refused(f"{node.op_type} with such a padding mask is not supported", _ROWS)
    hiding = node.real("mask_filter_value", ABSENT)
    if np.isnan(hiding):
        raise InvalidNode("has NaN as its mask_filter_value")
    shape = (1,) * (3 - len(mask.type.shape)) + mask.type.shape
    present = node.part("present", Reshape(shape), mask)
    hiding = max(hiding, _ABOVE_WINDOWS)
    return (node.part("padding", Function(f"x 0.5 > 0 {hiding!r} where"), present),)


def behind(node: NodeContext, scores: Value, mask: Value) -> Value:
    """Scores behind a mask that depends on data."""
    if not of_booleans(node, mask):
        return add(replace(node, inputs=(scores, mask)))
    lowest = KnownArray((np.array(LOWEST, np.float32),) * len(node.scope.probes), "lowest")
    return where(replace(node, inputs=(mask, scores, lowest)))


def of_booleans(node: NodeContext, mask: Value) -> bool:
    """Whether a mask tells which keys are present: where none is, the shares of all are 0."""
    return mask.name in node.scope.kinds
