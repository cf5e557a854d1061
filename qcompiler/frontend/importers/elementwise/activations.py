"""Importers of what treats every element by itself, and of what only the host does."""

from __future__ import annotations

from math import inf, isnan, prod

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, ArgMax, Clip, Softmax
from qcompiler.ir.view import Reshape, Take

_MINUS = np.asarray(-1, np.float32)


def relu(node: NodeContext) -> Value:
    """Relu: a clip at zero."""
    return node.add(Clip(0.0), node.activation())


def clip(node: NodeContext) -> Value:
    """Clip; bounds are attributes, or inputs from opset 11 on."""
    x = node.activation()
    low, high = _bound(node, 1, "min", -inf), _bound(node, 2, "max", inf)
    if low == -inf and high == inf:
        return x
    if low >= high:  # ONNX takes the minimum last
        rank = (1,) * len(x.type.shape)
        constants = (np.zeros(rank, np.float32), np.full(rank, high, np.float32))
        return node.add(Affine(), x, *map(node.constant, ("scale", "shift"), constants))
    return node.add(Clip(None if low == -inf else low, None if high == inf else high), x)


def _bound(node: NodeContext, index: int, name: str, default: float) -> float:
    if node.opset < 11:
        value = node.real(name, default, infinite=True)
    else:
        given = node.fixed(index, name)
        if given is not None and given.size != 1:
            raise InvalidNode(f"has a {name} of shape {given.shape}")
        value = default if given is None else float(given.reshape(-1)[0])
    if isnan(value):
        raise InvalidNode(f"has NaN as its {name}")
    with np.errstate(over="ignore"):
        bound = float(np.float32(value))
    return default if abs(bound) >= np.finfo(np.float32).max and bound * default > 0 else bound


def neg(node: NodeContext) -> Value:
    """Neg: a scale of -1."""
    return scaled_by(node, node.activation(), _MINUS)


def constant_and_value(node: NodeContext) -> tuple[bool, Array, Value]:
    """Whether the constant is first, the constant without batch axis, and the other operand.

    Axes of length 1 of that operand are repeated, if those of the constant are longer.
    """
    items = node.item(0), node.item(1)
    for first, known, x in ((False, items[1], items[0]), (True, items[0], items[1])):
        if isinstance(known, KnownArray) and isinstance(x, Value):
            array, shape = constant_for(node, known, x)
            return first, array, spread(node, x, shape)
    raise InvalidNode("has one input only")


def constant_for(node: NodeContext, known: KnownArray, x: Value) -> tuple[Array, Shape]:
    """A constant that is the same for every sample, without its batch axis.

    Beside it the shape that it and the value have together: of as many axes as the value's.
    """
    shape = x.type.shape
    array = float32(per_sample(node, known, len(shape)), known.name)
    try:
        result = np.broadcast_shapes(array.shape, shape)
    except ValueError as error:
        wrong = f"combines samples of shape {shape} with a constant of {array.shape}"
        raise InvalidNode(wrong) from error
    if len(result) != len(shape):
        raise Refused(
            f"{node.op_type} with a constant that adds axes to the value is not supported"
        )
    return collapsed(array), result


def collapsed(array: Array) -> Array:
    """A constant with one element, if all of its elements are equal."""
    if array.size < 2 or (array != array.flat[0]).any():
        return array
    one: Array = array.reshape(-1)[:1].reshape((1,) * array.ndim)
    return one


def spread(node: NodeContext, value: Value, shape: Shape) -> Value:
    """A value whose axes of length 1 are repeated."""
    for axis, length in enumerate(shape):
        if value.type.shape[axis] != length:
            value = node.part("spread", Take(axis, (0,) * length), value)
    return value


def scaled_by(node: NodeContext, x: Value, scale: Array, role: str = "") -> Value:
    """A value times a constant; the node's result, or a part of it that has a role."""
    if (scale == 1).all():
        return x
    rank = (1,) * len(x.type.shape)
    grown = (
        node.constant("scale", scale.reshape(scale.shape or rank)),
        node.constant("shift", np.zeros(rank, np.float32)),
    )
    return node.part(role, Affine(), x, *grown) if role else node.add(Affine(), x, *grown)


def softmax(node: NodeContext) -> Value:
    """Softmax and LogSoftmax: over one axis, or before opset 13 over the last axes together."""
    x, log = node.activation(), node.op_type == "LogSoftmax"
    shape = x.type.shape
    axis = axis_of(node.integer("axis", -1 if node.opset >= 13 else 1), len(shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    if node.opset >= 13 or axis == len(shape) - 1:
        return node.add(Softmax(axis, log), x)
    flat = node.part("flat", Reshape((prod(shape[:axis]), prod(shape[axis:]))), x)
    return node.add(Reshape(shape), node.part("softmax", Softmax(1, log), flat))


def arg_max(node: NodeContext) -> Value:
    """ArgMax over an axis of a sample, and ArgMin, which is that of the negated values."""
    x = node.activation()
    axis = axis_of(node.integer("axis", 0), len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    if node.op_type == "ArgMin":
        x = scaled_by(node, x, _MINUS, "minus")
    keep, last = node.integer("keepdims", 1), node.integer("select_last_index", 0)
    return node.add(ArgMax(axis, bool(keep), bool(last)), x)
