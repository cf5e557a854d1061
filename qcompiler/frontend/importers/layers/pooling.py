"""Importers of pools and of reductions over axes, which are pools as well."""

from __future__ import annotations

from itertools import groupby
from math import prod

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import affine_by
from qcompiler.frontend.importers.views.reshape import axes_given, axis_of, mixes_batch
from qcompiler.frontend.model.node_context import Broken, Refused, Shape, Step
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import InvalidGraph, Value
from qcompiler.ir.ann import Affine, MaxPool, SumPool
from qcompiler.ir.view import Reshape

from .windows import Window, window

_AXES_INPUT = {"ReduceSum": 13}  # the others have it since opset 18
_MINUS = np.asarray(-1, np.float32)
_DIRECT = 4  # axes of a sample that are pooled as they are


def max_pool(step: Step) -> Value:
    """MaxPool; its indices are not supported."""
    x = step.activation()
    found = _window(step, x)
    op = MaxPool(found.strides, found.pads, found.dilations, found.kernel)
    try:
        return step.add(op, x)
    except InvalidGraph as error:
        raise _misfit(step, error) from error


def average_pool(step: Step) -> Value:
    """AveragePool: a sum, divided by the number of pixels that each window sees."""
    x = step.activation()
    found = _window(step, x)
    op = SumPool(found.strides, found.pads, found.dilations, found.kernel)
    try:
        summed = step.part("sum", op, x)
    except InvalidGraph as error:
        raise _misfit(step, error) from error
    out, with_padding = summed.type.shape[1:], bool(step.integer("count_include_pad", 0))
    counts = found.counts(x.type.shape[1:], out, with_padding)
    if not counts.all():
        raise Refused("AveragePool with a window that covers only padding is not supported")
    return _scaled(step, summed, 1 / counts)


def _misfit(step: Step, error: InvalidGraph) -> Refused:
    _, _, what = error.diagnostics[0].message.partition(" ")
    return Refused(f"{step.op_type} {what}")


def _window(step: Step, x: Value) -> Window:
    kernel = step.integers("kernel_shape")
    if kernel is None or len(x.type.shape) < 2:
        raise Broken(f"has kernel_shape {kernel} for samples of shape {x.type.shape}")
    return window(step, x.type.shape[1:], kernel, bool(step.integer("ceil_mode", 0)))


def _scaled(step: Step, x: Value, scale: Array) -> Value:
    """Multiply every pixel by its scale, given without the channel axis."""
    rank = len(x.type.shape)
    uniform = scale.min() == scale.max()
    shape = (1,) * rank if uniform else (1, *scale.shape)
    factor = (scale.reshape(-1)[:1] if uniform else scale).astype(np.float32).reshape(shape)
    shift = np.zeros((1,) * rank, np.float32)
    return step.add(Affine(), x, step.constant("scale", factor), step.constant("shift", shift))


def global_average_pool(step: Step) -> Value:
    """GlobalAveragePool: the mean of each channel."""
    return _reduce(step, step.activation(), _spatial(step), keep=True)


def global_max_pool(step: Step) -> Value:
    """GlobalMaxPool: the maximum of each channel."""
    return _reduce(step, step.activation(), _spatial(step), keep=True)


def _spatial(step: Step) -> frozenset[int]:
    return frozenset(range(1, len(step.activation().type.shape)))


def axes_of_reduction(step: Step) -> tuple[int, ...] | None:
    """The axes that are reduced, None if that is left open."""
    return axes_given(step, _AXES_INPUT.get(step.op_type, 18))


def reduce(step: Step) -> Value:
    """ReduceMean, ReduceMax, ReduceMin and ReduceSum over any axes but that of the batch."""
    x = step.activation()
    axes = axes_of_reduction(step)
    if not axes:
        if step.integer("noop_with_empty_axes", 0):
            return x
        raise mixes_batch(step)
    rank = len(x.type.shape) + 1
    chosen = frozenset(axis_of(axis, rank) - 1 for axis in axes)
    if -1 in chosen:
        raise mixes_batch(step)
    keep = bool(step.integer("keepdims", 1))
    if step.op_type == "ReduceMin":  # the minimum of x is the largest of -x, negated
        return affine_by(
            step, _reduce(step, affine_by(step, x, _MINUS, "minus"), chosen, keep), _MINUS
        )
    return _reduce(step, x, chosen, keep)


def _reduce(step: Step, x: Value, axes: frozenset[int], keep: bool) -> Value:
    """Reduce axes of a sample, as a pool over an image that they are the spatial axes of."""
    shape = x.type.shape
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    final = kept if keep else tuple(n for a, n in enumerate(shape) if a not in axes)
    image, kernel = shape, tuple(n if a in axes else 1 for a, n in enumerate(shape))
    if 0 in axes or not 2 <= len(shape) <= _DIRECT:
        image, kernel = _merged(shape, axes)
        x = step.part("image", Reshape(image), x)
    pooled = tuple(n // k for n, k in zip(image, kernel, strict=True))
    mean = "Mean" in step.op_type or "Average" in step.op_type
    ones, none = (1,) * (len(kernel) - 1), (0,) * (2 * len(kernel) - 2)
    kind = SumPool if mean or "Sum" in step.op_type else MaxPool
    op = kind(ones, none, ones, kernel[1:])
    if not mean:
        if pooled == final:
            return step.add(op, x)
        return step.add(Reshape(final), step.part("pool", op, x))
    x = step.part("sum", op, x)
    if pooled != final:
        x = step.part("mean", Reshape(final), x)
    if not final:
        scale = step.constant("scale", np.asarray(1 / prod(kernel), np.float32))
        return step.add(Affine(), x, scale, step.constant("shift", np.zeros((), np.float32)))
    return _scaled(step, x, np.full((1,) * (len(final) - 1), 1 / prod(kernel)))


def _merged(shape: Shape, axes: frozenset[int]) -> tuple[Shape, Shape]:
    """An image with few axes, the first of them kept, and the kernel over them."""
    image, kernel = [1], [1]
    for reduced, group in groupby(range(len(shape)), lambda a: a in axes):
        length = prod(shape[a] for a in group)
        if len(image) == 1 and image[0] == 1 and not reduced:
            image[0] = length
            continue
        image.append(length)
        kernel.append(length if reduced else 1)
    return tuple(image), tuple(kernel)
