"""Importers of padding, and of what does nothing at inference."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Pad

from .movement import rearrange
from .reshape import axis_of, mixes_batch
from .slicing import take_indices

_LARGEST = float(np.finfo(np.float32).max)


def pad(node: NodeContext) -> Value:
    """Pad with a constant."""
    x = node.activation()
    mode = node.text("mode", "constant")
    pads = node.integers("pads") if node.opset < 11 else node.fixed_integers(1, "pads")
    if mode != "constant":
        if min(pads or (0,)) < 0:
            raise Refused(
                f"Pad with mode {mode} and negative pads is not supported",
                "crop with a Slice in front of the Pad",
            )
        return rearrange(node)
    value, (begins, after) = _pad_value(node), pad_ends(node, x)
    for at, (before, behind) in enumerate(zip(begins, after, strict=True)):
        if before < 0 or behind < 0:
            x = take_indices(
                node, x, at, range(x.type.shape[at])[max(0, -before) : min(0, behind) or None]
            )
    grown = tuple(max(0, n) for n in (*begins, *after))
    return node.add(Pad(grown, value), x) if any(grown) else x


def pad_ends(node: NodeContext, x: Value) -> tuple[Sequence[int], Sequence[int]]:
    """What is added in front of and behind each axis of a sample; below 0 it is cut off."""
    pads = node.integers("pads") if node.opset < 11 else node.fixed_integers(1, "pads")
    rank = len(x.type.shape) + 1
    axes = node.fixed_integers(3, "axes")
    chosen = range(rank) if axes is None else [axis_of(axis, rank) for axis in axes]
    if pads is None or len(pads) != 2 * len(chosen):
        raise InvalidNode(f"has pads {pads} for {len(chosen)} axes")
    if len(set(chosen)) < len(chosen):
        raise InvalidNode(f"pads an axis twice: {axes}")
    ends = [0] * (2 * rank)
    for index, axis in enumerate(chosen):
        ends[axis], ends[rank + axis] = pads[index], pads[len(chosen) + index]
    if ends[0] or ends[rank]:
        raise mixes_batch(node)
    return ends[1:rank], ends[rank + 1 :]


def _pad_value(node: NodeContext) -> float:
    if node.opset < 11:
        value = node.real("value", 0.0, infinite=True)
    else:
        given = node.fixed(2, "value")
        value = 0.0 if given is None or not given.size else float(given.reshape(-1)[0])
    if isnan(value) or value > _LARGEST:
        raise Refused("Pad with a value that is not finite is not supported")
    return max(value, -_LARGEST)  # for minus infinity, which pads what a maximum is taken of


def identity(node: NodeContext) -> Value:
    """Identity: nothing to do."""
    return node.activation()


def dropout(node: NodeContext) -> Value:
    """Dropout: nothing to do at inference."""
    training = node.fixed(2, "training mode")
    if training is not None and training.any():
        raise Refused("Dropout in training mode is not supported", "export for inference")
    return node.activation()
