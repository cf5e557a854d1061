"""Importers of what treats every element by itself, and of what only the host does."""

from __future__ import annotations

from math import inf, isnan, prod

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import Known
from qcompiler.frontend.model.node_context import Broken, Refused, Step, float32, per_sample
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, ArgMax, Clip, Softmax
from qcompiler.ir.view import Reshape


def relu(step: Step) -> Value:
    """Relu: a clip at zero."""
    return step.add(Clip(0.0), step.activation())


def clip(step: Step) -> Value:
    """Clip; bounds are attributes, or inputs from opset 11 on."""
    x = step.activation()
    low, high = _bound(step, 1, "min", -inf), _bound(step, 2, "max", inf)
    if low == -inf and high == inf:
        return x
    low = min(low, high)
    return step.add(Clip(None if low == -inf else low, None if high == inf else high), x)


def _bound(step: Step, index: int, name: str, default: float) -> float:
    if step.opset < 11:
        value = step.real(name, default)
    else:
        given = step.fixed(index, name)
        if given is not None and given.size != 1:
            raise Broken(f"has a {name} of shape {given.shape}")
        value = default if given is None else float(given.reshape(-1)[0])
    if isnan(value):
        raise Broken(f"has NaN as its {name}")
    with np.errstate(over="ignore"):
        bound = float(np.float32(value))
    return default if abs(bound) >= np.finfo(np.float32).max and bound * default > 0 else bound


def neg(step: Step) -> Value:
    """Neg: a scale of -1."""
    minus = np.asarray(-1, np.float32)
    return affine_by(step, step.activation(), minus)


def pair(step: Step) -> tuple[bool, Array, Value]:
    """Whether the constant is first, the constant without batch axis, and the other operand."""
    items = step.item(0), step.item(1)
    for first, known, x in ((False, items[1], items[0]), (True, items[0], items[1])):
        if isinstance(known, Known) and isinstance(x, Value):
            return first, constant_for(step, known, x), x
    raise Broken("has one input only")


def constant_for(step: Step, known: Known, x: Value) -> Array:
    """A constant that spreads over every sample alike, without its batch axis."""
    shape = x.type.shape
    array = float32(per_sample(step, known, len(shape)), known.name)
    try:
        result = np.broadcast_shapes(array.shape, shape)
    except ValueError as error:
        wrong = f"combines samples of shape {shape} with a constant of {array.shape}"
        raise Broken(wrong) from error
    if result != shape:
        raise Refused(
            f"{step.op_type} with a constant that adds axes to the value is not supported"
        )
    return array


def affine_by(step: Step, x: Value, scale: Array, role: str = "") -> Value:
    """A value times a constant; the node's result, or a part of it that has a role."""
    if (scale == 1).all():
        return x
    rank = (1,) * len(x.type.shape)
    grown = (
        step.constant("scale", scale.reshape(scale.shape or rank)),
        step.constant("shift", np.zeros(rank, np.float32)),
    )
    return step.part(role, Affine(), x, *grown) if role else step.add(Affine(), x, *grown)


def softmax(step: Step) -> Value:
    """Softmax and LogSoftmax: over one axis, or before opset 13 over the last axes together."""
    x, log = step.activation(), step.op_type == "LogSoftmax"
    shape = x.type.shape
    axis = axis_of(step.integer("axis", -1 if step.opset >= 13 else 1), len(shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(step)
    if step.opset >= 13 or axis == len(shape) - 1:
        return step.add(Softmax(axis, log), x)
    flat = step.part("flat", Reshape((prod(shape[:axis]), prod(shape[axis:]))), x)
    return step.add(Reshape(shape), step.part("softmax", Softmax(1, log), flat))


def arg_max(step: Step) -> Value:
    """ArgMax over an axis of a sample."""
    x = step.activation()
    axis = axis_of(step.integer("axis", 0), len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(step)
    keep, last = step.integer("keepdims", 1), step.integer("select_last_index", 0)
    return step.add(ArgMax(axis, bool(keep), bool(last)), x)
