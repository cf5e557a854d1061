"""Importers of layers with weights: convolutions, matrix products, batch normalisation."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.elementwise.arithmetic import add
from qcompiler.frontend.importers.views.reshape import mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, MixesBatch, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import Value
from qcompiler.ir.ann import BatchNorm, Conv, Dense
from qcompiler.ir.view import Reshape, Transpose

from .einsum import batched
from .windows import window

_ONE = (1,)
_LARGEST = float(np.finfo(np.float32).max)
_MATMUL = "if the input is one sample, write MatMul and Add, and fix all axes with --input-shape"


def conv(node: NodeContext) -> Value:
    """Conv with any number of spatial axes."""
    x = node.activation()
    source, weight = node.weight(1, "weight")
    space = x.type.shape[1:]
    if not space or weight.ndim != len(space) + 2:
        raise InvalidNode(f"has a weight of shape {weight.shape} for an input of {x.type.shape}")
    kernel = node.integers("kernel_shape") or weight.shape[2:]
    if kernel != weight.shape[2:]:
        raise InvalidNode(f"has kernel_shape {kernel}, but a weight of shape {weight.shape}")
    found = window(node, space, kernel)
    op = Conv(found.strides, found.pads, found.dilations, node.integer("group", 1))
    shape = (weight.shape[0], *(1 for _ in space))
    bias, origin = bias_of(node, 2, weight.shape[0])
    summand = node.constant("bias", bias.reshape(shape), origin)
    return node.add(op, x, node.constant("weight", weight, source), summand)


def bias_of(node: NodeContext, index: int, length: int) -> tuple[Array, KnownArray | None]:
    """A bias of the right length, and the value it is the same as."""
    known = node.known(index, "bias")
    if known is None:
        return np.zeros(length, np.float32), None
    bias = node.weight(index, "bias")[1]
    if bias.shape != (length,):
        raise InvalidNode(f"has a bias of shape {bias.shape}, not {(length,)}")
    return bias, known


def gemm(node: NodeContext) -> Value:
    """Gemm with the data as its first factor: ``alpha A B + beta C``."""
    if isinstance(node.item(0), KnownArray) and isinstance(node.item(1), Value):
        raise MixesBatch("Gemm with a constant first mixes the batch axis with others", _MATMUL)
    x, summand = node.activation(), node.item(2)
    if isinstance(summand, Value):
        return _beside(node, x, summand)
    source, weight = node.weight(1, "weight")
    if not x.type.shape or weight.ndim != 2:
        raise InvalidNode(f"multiplies samples of shape {x.type.shape} with {weight.shape}")
    transposed = bool(node.integer("transB", 0))
    if node.integer("transA", 0):
        raise MixesBatch(
            "Gemm with transA mixes the batch axis with others",
            "leave transA out; or if the input is one sample, fix its first axis at "
            f"{weight.shape[transposed]} with --input-shape",
        )
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    matrix = weight if transposed else weight.T
    same = transposed and alpha == 1
    if alpha != 1:
        matrix = matrix * np.float32(alpha)
    bias, origin = _summand(node, len(matrix), beta)
    if len(x.type.shape) > 1:
        if x.type.shape[-1] != matrix.shape[1]:
            raise InvalidNode(f"multiplies samples of shape {x.type.shape} with {weight.shape}")
        return rows(node, x, matrix.T, (*x.type.shape[:-1], len(matrix)), bias)
    return node.add(
        Dense(),
        x,
        node.constant("weight", matrix, source if same else None),
        node.constant("bias", bias, origin),
    )


def _beside(node: NodeContext, x: Value, summand: Value) -> Value:
    """A layer and a summand that depends on the data, as of distances to centres."""
    apart = len(summand.type.shape) != len(x.type.shape)
    if apart or node.placement(summand) != node.placement(x):
        raise mixes_batch(node)
    layer = gemm(replace(node.within("layer"), inputs=node.inputs[:2]))
    beta = np.asarray(node.real("beta", 1.0), np.float32)
    return add(replace(node, inputs=(layer, scaled_by(node, summand, beta, "summand"))))


def _summand(node: NodeContext, length: int, beta: float) -> tuple[Array, KnownArray | None]:
    known = node.known(2, "bias")
    if known is None:
        return np.zeros(length, np.float32), None
    given = float32(per_sample(node, known, 1), known.name)
    spread: Array = np.broadcast_to(given, (1, length))[0]
    if beta != 1:
        return spread * np.float32(beta), None
    return spread, known if given.size == length else None


def matmul(node: NodeContext) -> Value:
    """MatMul with a constant factor: a dense layer, or a convolution of one pixel."""
    constant_first = isinstance(node.item(0), KnownArray)
    return _matrix_first(node) if constant_first else _matrix_second(node)


def _factor(node: NodeContext, index: int) -> KnownArray:
    known = node.known(index, "weight")
    if known is None:
        raise InvalidNode("has no weight")
    return known


def _matrix_first(node: NodeContext) -> Value:
    x, known = node.activation(1), _factor(node, 0)
    if known.arrays[0].ndim == 1 and len(x.type.shape) > 1:
        row = known.changed(lambda vector: vector[None], known.name)
        found = _matrix_first(replace(node.within("row"), inputs=(row, x)))
        return node.add(Reshape((*x.type.shape[:-2], x.type.shape[-1])), found)
    if known.arrays[0].ndim != 2 or len(x.type.shape) != 2:
        return batched(node, first=True)
    source, weight = node.weight(0, "weight")
    zeros = node.constant("bias", np.zeros((len(weight), 1), np.float32))
    matrix = node.constant("weight", weight[:, :, None], source)
    return node.add(_pixelwise(), x, matrix, zeros)


def _matrix_second(node: NodeContext) -> Value:
    x, known = node.activation(), _factor(node, 1)
    shape, extent = x.type.shape, known.arrays[0].shape
    if not shape:
        raise mixes_batch(node)
    if prod(extent[:-2]) != 1 or len(extent) > len(shape) + 1:
        return batched(node, first=False)
    weight = node.weight(1, "weight")[1]
    matrix: Array = weight.reshape(weight.shape[-2:] if weight.ndim > 1 else (-1, 1))
    if matrix.shape[0] != shape[-1]:
        raise InvalidNode(f"multiplies samples of shape {shape} with {weight.shape}")
    result: Shape = shape[:-1] + weight.shape[1:][-1:]
    outputs: int = matrix.shape[1]
    if len(shape) == 1:
        bias = node.constant("bias", np.zeros(outputs, np.float32))
        dense = (Dense(), x, node.constant("weight", matrix.T), bias)
        if result:
            return node.add(*dense)
        return node.add(Reshape(()), node.part("product", *dense))
    return rows(node, x, matrix, result)


def rows(
    node: NodeContext,
    x: Value,
    matrix: Array,
    result: tuple[int, ...],
    shift: Array | None = None,
) -> Value:
    """Multiply every row: rows become the channels of an image of one spatial axis."""
    shape, outputs = x.type.shape, matrix.shape[1]
    rank = len(shape)
    front = node.part("front", Transpose((rank - 1, *range(rank - 1))), x)
    if rank > 2:
        front = node.part("flat", Reshape((shape[-1], prod(shape[:-1]))), front)
    kernel = node.constant("weight", matrix.T[:, :, None])
    shift = np.zeros(outputs, np.float32) if shift is None else shift
    bias = node.constant("bias", shift.reshape(outputs, 1))
    product = node.part("product", _pixelwise(), front, kernel, bias)
    if len(result) < rank:
        return node.add(Reshape(result), product)
    if rank > 2:
        product = node.part("grown", Reshape((outputs, *shape[:-1])), product)
    return node.add(Transpose((*range(1, rank), 0)), product)


def _pixelwise() -> Conv:
    return Conv(_ONE, (0, 0), _ONE)


def batchnorm(node: NodeContext) -> Value:
    """BatchNormalization at inference."""
    x = node.activation()
    if node.integer("training_mode", 0):
        raise Refused(
            "BatchNormalization in training mode is not supported", "export for inference"
        )
    if not node.integer("spatial", 1):
        raise Refused("BatchNormalization per pixel (spatial=0) is not supported")
    roles = ("scale", "shift", "mean", "variance")
    parameters = []
    for index, role in enumerate(roles, 1):
        source, array = node.weight(index, role)
        parameters.append(node.constant(role, array, source))
    epsilon = node.real("epsilon", 1e-5)
    scale, shift, mean, variance = (constant.data.astype(np.float64) for constant in parameters)
    if np.min(variance, initial=np.inf) + epsilon <= 0:
        if variance.min() < 0:
            raise InvalidNode("has a negative variance")
        reason = f"BatchNormalization divides by 0, or by no real number, for its epsilon {epsilon}"
        raise Refused(reason, "use a positive epsilon, as 1e-05")
    gain = scale / np.sqrt(variance + epsilon)
    if max(np.max(np.abs(a), initial=0) for a in (gain, shift - mean * gain)) > _LARGEST:
        reason = "BatchNormalization has factors or shifts beyond single precision"
        raise Refused(reason, "use smaller scales, shifts and means, or a larger epsilon")
    return node.add(BatchNorm(epsilon), x, *parameters)
