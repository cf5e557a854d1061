"""Importers of layers with weights: convolutions, matrix products, batch normalisation."""

from __future__ import annotations

from math import prod

import numpy as np

from qcompiler.frontend.model.constant_folding import Known
from qcompiler.frontend.model.node_context import Broken, Refused, Shape, Step
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import BatchNorm, Conv, Dense
from qcompiler.ir.view import Reshape, Transpose

from .einsum import batched
from .windows import window

_ONE = (1,)


def conv(step: Step) -> Value:
    """Conv with any number of spatial axes."""
    x = step.activation()
    source, weight = step.weight(1, "weight")
    space = x.type.shape[1:]
    if not space or weight.ndim != len(space) + 2:
        raise Broken(f"has a weight of shape {weight.shape} for an input of {x.type.shape}")
    kernel = step.integers("kernel_shape") or weight.shape[2:]
    if kernel != weight.shape[2:]:
        raise Broken(f"has kernel_shape {kernel}, but a weight of shape {weight.shape}")
    found = window(step, space, kernel)
    op = Conv(found.strides, found.pads, found.dilations, step.integer("group", 1))
    shape = (weight.shape[0], *(1 for _ in space))
    bias, origin = bias_of(step, 2, weight.shape[0])
    summand = step.constant("bias", bias.reshape(shape), origin)
    return step.add(op, x, step.constant("weight", weight, source), summand)


def bias_of(step: Step, index: int, length: int) -> tuple[Array, Known | None]:
    """A bias of the right length, and the value it is the same as."""
    known = step.known(index, "bias")
    if known is None:
        return np.zeros(length, np.float32), None
    bias = step.weight(index, "bias")[1]
    if bias.shape != (length,):
        raise Broken(f"has a bias of shape {bias.shape}, not {(length,)}")
    return bias, known


def gemm(step: Step) -> Value:
    """Gemm with the data as its first factor: ``alpha A B + beta C``."""
    if isinstance(step.item(0), Known) and isinstance(step.item(1), Value):
        raise Refused("Gemm with a constant first factor mixes the batch axis with others")
    x = step.activation()
    source, weight = step.weight(1, "weight")
    if step.integer("transA", 0):
        raise Refused("Gemm with transA mixes the batch axis with others")
    if len(x.type.shape) != 1 or weight.ndim != 2:
        raise Broken(f"multiplies samples of shape {x.type.shape} with {weight.shape}")
    alpha, beta = step.real("alpha", 1.0), step.real("beta", 1.0)
    transposed = bool(step.integer("transB", 0))
    matrix = weight if transposed else weight.T
    same = transposed and alpha == 1
    if alpha != 1:
        matrix = matrix * np.float32(alpha)
    bias, origin = _summand(step, len(matrix), beta)
    return step.add(
        Dense(),
        x,
        step.constant("weight", matrix, source if same else None),
        step.constant("bias", bias, origin),
    )


def _summand(step: Step, length: int, beta: float) -> tuple[Array, Known | None]:
    known = step.known(2, "bias")
    if known is None:
        return np.zeros(length, np.float32), None
    given = step.weight(2, "bias")[1]
    if given.ndim == 2 and given.shape[0] != 1:
        raise Refused("Gemm adds a constant that differs between samples of the batch")
    spread: Array = np.broadcast_to(given, (1, length))[0]
    if beta != 1:
        return spread * np.float32(beta), None
    return spread, known if given.size == length else None


def matmul(step: Step) -> Value:
    """MatMul with a constant factor: a dense layer, or a convolution of one pixel."""
    constant_first = isinstance(step.item(0), Known)
    return _matrix_first(step) if constant_first else _matrix_second(step)


def _matrix_first(step: Step) -> Value:
    x = step.activation(1)
    source, weight = step.weight(0, "weight")
    shape = x.type.shape
    if weight.ndim != 2 or len(shape) != 2:
        return batched(step, first=True)
    zeros = step.constant("bias", np.zeros((len(weight), 1), np.float32))
    matrix = step.constant("weight", weight[:, :, None], source)
    return step.add(_pixelwise(), x, matrix, zeros)


def _matrix_second(step: Step) -> Value:
    x = step.activation()
    weight = step.weight(1, "weight")[1]
    shape = x.type.shape
    if not shape:
        raise Refused("MatMul mixes the batch axis with others")
    if prod(weight.shape[:-2]) != 1 or weight.ndim > len(shape) + 1:
        return batched(step, first=False)
    matrix: Array = weight.reshape(weight.shape[-2:] if weight.ndim > 1 else (-1, 1))
    if matrix.shape[0] != shape[-1]:
        raise Broken(f"multiplies samples of shape {shape} with {weight.shape}")
    result: Shape = shape[:-1] + weight.shape[1:][-1:]
    outputs: int = matrix.shape[1]
    if len(shape) == 1:
        bias = step.constant("bias", np.zeros(outputs, np.float32))
        dense = (Dense(), x, step.constant("weight", matrix.T), bias)
        if result:
            return step.add(*dense)
        return step.add(Reshape(()), step.part("product", *dense))
    return _rows(step, x, matrix, result)


def _rows(step: Step, x: Value, matrix: Array, result: tuple[int, ...]) -> Value:
    """Multiply every row: rows become the channels of an image of one spatial axis."""
    shape, outputs = x.type.shape, matrix.shape[1]
    rank = len(shape)
    front = step.part("front", Transpose((rank - 1, *range(rank - 1))), x)
    if rank > 2:
        front = step.part("flat", Reshape((shape[-1], prod(shape[:-1]))), front)
    kernel = step.constant("weight", matrix.T[:, :, None])
    bias = step.constant("bias", np.zeros((outputs, 1), np.float32))
    product = step.part("product", _pixelwise(), front, kernel, bias)
    if len(result) < rank:
        return step.add(Reshape(result), product)
    if rank > 2:
        product = step.part("grown", Reshape((outputs, *shape[:-1])), product)
    return step.add(Transpose((*range(1, rank), 0)), product)


def _pixelwise() -> Conv:
    return Conv(_ONE, (0, 0), _ONE)


def batchnorm(step: Step) -> Value:
    """BatchNormalization at inference."""
    x = step.activation()
    if step.integer("training_mode", 0):
        raise Refused(
            "BatchNormalization in training mode is not supported", "export for inference"
        )
    if not step.integer("spatial", 1):
        raise Refused("BatchNormalization per pixel (spatial=0) is not supported")
    roles = ("scale", "shift", "mean", "variance")
    parameters = []
    for index, role in enumerate(roles, 1):
        source, array = step.weight(index, role)
        parameters.append(step.constant(role, array, source))
    if np.min(parameters[3].data, initial=0) < 0:
        raise Broken("has a negative variance")
    return step.add(BatchNorm(step.real("epsilon", 1e-5)), x, *parameters)
