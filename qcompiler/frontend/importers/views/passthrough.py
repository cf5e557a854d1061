"""Importers of padding, and of what does nothing at inference."""

from __future__ import annotations

from math import isnan

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import FLOATS, INTEGERS
from qcompiler.ir import Tensor, Value
from qcompiler.ir.ann import Function, Pad
from qcompiler.ir.view import Reshape

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
    rank = len(x.type.shape) + 1
    axes = node.fixed_integers(3, "axes")
    chosen = range(rank) if axes is None else [axis_of(axis, rank) for axis in axes]
    if pads is None or len(pads) != 2 * len(chosen):
        raise InvalidNode(f"has pads {pads} for {len(chosen)} axes")
    ends = [0] * (2 * rank)
    for index, axis in enumerate(chosen):
        ends[axis], ends[rank + axis] = pads[index], pads[len(chosen) + index]
    if ends[0] or ends[rank]:
        raise mixes_batch(node)
    value, begins, after = _pad_value(node), ends[1:rank], ends[rank + 1 :]
    for at, (before, behind) in enumerate(zip(begins, after, strict=True)):
        if before < 0 or behind < 0:
            x = take_indices(
                node, x, at, range(x.type.shape[at])[max(0, -before) : min(0, behind) or None]
            )
    grown = tuple(max(0, n) for n in (*begins, *after))
    return node.add(Pad(grown, value), x) if any(grown) else x


def _pad_value(node: NodeContext) -> float:
    if node.opset < 11:
        value = node.real("value", 0.0)
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


def cast(node: NodeContext) -> Value:
    """Cast between floating-point types, of integers to real numbers, and of indices."""
    return _as_type(node, node.integer("to", TensorProto.FLOAT))


def cast_like(node: NodeContext) -> Value:
    """CastLike: to the type of another value."""
    match node.item(1):
        case Value(type=Tensor(dtype="i64")):
            return _as_type(node, TensorProto.INT64)
        case Value() as value:
            return _as_type(node, node.scope.kinds.get(value.name, TensorProto.FLOAT))
        case KnownArray(arrays=arrays):
            return _as_type(node, helper.np_dtype_to_tensor_dtype(arrays[0].dtype))
    return _as_type(node, TensorProto.FLOAT)


def _as_type(node: NodeContext, to: int) -> Value:
    x = node.activation()
    assert isinstance(x.type, Tensor)
    kind = node.scope.kinds.get(x.name)
    if x.type.dtype == "i64" and to != TensorProto.BOOL and (to in FLOATS or to in INTEGERS):
        return x  # an index, which the host computes
    if to in FLOATS:
        return x if kind is None else node.add(Reshape(x.type.shape), x)
    if kind == to:
        return x
    found = None
    if kind is None and to in (TensorProto.INT32, TensorProto.INT64):
        found = node.add(Reshape(x.type.shape), x)
        node.scope.truncated.add(found.name)  # only encoders of categories may read it
    elif kind is not None and to == TensorProto.BOOL:
        found = node.add(Function("x abs 0.5 >"), x)
    elif kind is not None and _holds(to, kind):
        found = node.add(Reshape(x.type.shape), x)
    if found is not None:
        node.scope.kinds[found.name] = to
        return found
    name = TensorProto.DataType.Name(to).lower() if to in TensorProto.DataType.values() else to
    raise Refused(
        f"{node.op_type} to {name} is not supported",
        "only conversions between floating-point types, of integers to wider or real numbers, and "
        "of indices are supported",
    )


def _holds(to: int, kind: int) -> bool:
    """Whether an integer type holds all numbers of another."""
    if to not in INTEGERS:
        return False
    (least, most), (low, high) = INTEGERS[to], INTEGERS[kind]
    return least <= low and high <= most
