"""Importers of pools and of reductions over axes, which are pools as well."""

from __future__ import annotations

from itertools import groupby
from math import prod

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.views.reshape import axes_given, axis_of, mixes_batch
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import InvalidGraph, Value
from qcompiler.ir.ann import Affine, MaxPool, SumPool
from qcompiler.ir.view import Reshape, Transpose

from .windows import Window, window

_AXES_INPUT = {"ReduceSum": 13}  # the others have it since opset 18
_MINUS = np.asarray(-1, np.float32)
_DIRECT = 4  # axes of a sample that are pooled as they are


def max_pool(node: NodeContext) -> Value:
    """MaxPool; its indices are not supported."""
    x = node.activation()
    found = pool_window(node, x)
    op = MaxPool(found.strides, found.pads, found.dilations, found.kernel)
    try:
        return node.add(op, x)
    except InvalidGraph as error:
        raise misfit(node, error) from error


def average_pool(node: NodeContext) -> Value:
    """AveragePool: a sum, divided by the number of pixels that each window sees."""
    x = node.activation()
    found = pool_window(node, x)
    op = SumPool(found.strides, found.pads, found.dilations, found.kernel)
    try:
        summed = node.part("sum", op, x)
    except InvalidGraph as error:
        raise misfit(node, error) from error
    out, with_padding = summed.type.shape[1:], bool(node.integer("count_include_pad", 0))
    counts = found.counts(x.type.shape[1:], out, with_padding)
    if not counts.all():
        raise Refused("AveragePool with a window that covers only padding is not supported")
    return _scaled(node, summed, 1 / counts)


def misfit(node: NodeContext, error: InvalidGraph) -> Refused:
    """The refusal of a pool whose windows do not fit its input."""
    _, _, what = error.diagnostics[0].message.partition(" ")
    return Refused(f"{node.op_type} {what}")


def pool_window(node: NodeContext, x: Value) -> Window:
    """The windows of a pool, as the attributes of its node say."""
    kernel = node.integers("kernel_shape")
    if kernel is None or len(x.type.shape) < 2:
        raise InvalidNode(f"has kernel_shape {kernel} for samples of shape {x.type.shape}")
    return window(node, x.type.shape[1:], kernel, bool(node.integer("ceil_mode", 0)))


def _scaled(node: NodeContext, x: Value, scale: Array) -> Value:
    """Multiply every pixel by its scale, given without the channel axis."""
    rank = len(x.type.shape)
    uniform = scale.min() == scale.max()
    shape = (1,) * rank if uniform else (1, *scale.shape)
    factor = (scale.reshape(-1)[:1] if uniform else scale).astype(np.float32).reshape(shape)
    shift = np.zeros((1,) * rank, np.float32)
    return node.add(Affine(), x, node.constant("scale", factor), node.constant("shift", shift))


def global_average_pool(node: NodeContext) -> Value:
    """GlobalAveragePool: the mean of each channel."""
    return reduced(node, "mean", node.activation(), _spatial(node), keep=True)


def global_max_pool(node: NodeContext) -> Value:
    """GlobalMaxPool: the maximum of each channel."""
    return reduced(node, "max", node.activation(), _spatial(node), keep=True)


def _spatial(node: NodeContext) -> frozenset[int]:
    return frozenset(range(1, len(node.activation().type.shape)))


def axes_of_reduction(node: NodeContext) -> tuple[int, ...] | None:
    """The axes that are reduced, None if that is left open."""
    return axes_given(node, _AXES_INPUT.get(node.op_type, 18))


def reduce(node: NodeContext) -> Value:
    """ReduceMean, ReduceMax, ReduceMin and ReduceSum over any axes but that of the batch."""
    x, axes, keep = node.activation(), reduced_axes(node), bool(node.integer("keepdims", 1))
    if not axes:
        return x
    if node.op_type == "ReduceMin":  # the minimum of x is the largest of -x, negated
        minus = scaled_by(node, x, _MINUS, "minus")
        return scaled_by(node, reduced(node, "max", minus, axes, keep), _MINUS)
    return reduced(node, node.op_type.removeprefix("Reduce").lower(), x, axes, keep)


def reduced_axes(node: NodeContext) -> frozenset[int]:
    """The axes of a sample that are reduced; none if the node says that none given means none."""
    axes = axes_of_reduction(node)
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return frozenset()
        raise mixes_batch(node)
    rank = len(node.activation().type.shape) + 1
    chosen = frozenset(axis_of(axis, rank) - 1 for axis in axes)
    if -1 in chosen:
        raise mixes_batch(node)
    return chosen


def reduced(node: NodeContext, how: str, x: Value, axes: frozenset[int], keep: bool) -> Value:
    """The sum, mean or max over axes of a sample: a pool over an image whose spatial axes they are.

    ``keep`` leaves them as axes of length 1.
    """
    shape = x.type.shape
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    final = kept if keep else tuple(n for a, n in enumerate(shape) if a not in axes)
    image, kernel = shape, tuple(n if a in axes else 1 for a, n in enumerate(shape))
    if 0 in axes or not 2 <= len(shape) <= _DIRECT:
        image, kernel = _merged(shape, axes)
        if len(image) > _DIRECT:
            order = sorted(range(len(shape)), key=lambda a: (a in axes, a))
            x = node.part("reduced_last", Transpose(tuple(order)), x)
            width = prod(shape[a] for a in axes)
            image, kernel = (prod(shape) // width, width), (1, width)
        x = node.part("image", Reshape(image), x)
    pooled = tuple(n // k for n, k in zip(image, kernel, strict=True))
    ones, none = (1,) * (len(kernel) - 1), (0,) * (2 * len(kernel) - 2)
    op = (MaxPool if how == "max" else SumPool)(ones, none, ones, kernel[1:])
    if how != "mean":
        if pooled == final:
            return node.add(op, x)
        return node.add(Reshape(final), node.part("pool", op, x))
    x = node.part("sum", op, x)
    if pooled != final:
        x = node.part("mean", Reshape(final), x)
    if not final:
        scale = node.constant("scale", np.asarray(1 / prod(kernel), np.float32))
        return node.add(Affine(), x, scale, node.constant("shift", np.zeros((), np.float32)))
    return _scaled(node, x, np.full((1,) * (len(final) - 1), 1 / prod(kernel)))


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
