"""Importers of operators on integers: what they compute on real numbers, between two codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from qcompiler.frontend.importers.composites.matrices import matmul
from qcompiler.frontend.importers.elementwise.activations import softmax
from qcompiler.frontend.importers.elementwise.arithmetic import add, concat
from qcompiler.frontend.importers.elementwise.functions import leaky_relu, unary_function
from qcompiler.frontend.importers.elementwise.products import mul
from qcompiler.frontend.importers.layers.linear import conv, gemm
from qcompiler.frontend.importers.layers.pooling import average_pool, global_average_pool, reduce
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value

from .codes import code_at, dequantized, quantized

_REDUCE_OPSET = 13  # the axes are an attribute

_Inner = Callable[[NodeContext], Value]


def one_operand(op_type: str, importer: _Inner) -> _Inner:
    """What computes a function of one quantised tensor: x, its code, the code of the result."""
    return partial(_one_operand, op_type, importer)


def _one_operand(op_type: str, importer: _Inner, node: NodeContext) -> Value:
    _refuse_channels_last(node)
    return _coded(node, 3, importer(_inner(node, op_type, _real(node, 0))))


def _two_operands(op_type: str, importer: _Inner, node: NodeContext) -> Value:
    items = _real(node, 0), _real(node, 3)
    return _coded(node, 6, importer(_inner(node, op_type, *items)))


def qlinear_conv(node: NodeContext) -> Value:
    """QLinearConv: its bias is in units of both scales."""
    _refuse_channels_last(node)
    items = _real(node, 0), _real(node, 3, 0), _bias(node, 8, 1, 4)
    return _coded(node, 6, conv(_inner(node, "Conv", *items)))


def qlinear_matmul(node: NodeContext) -> Value:
    """QLinearMatMul: the second factor may have a scale for each column."""
    items = _real(node, 0), _real(node, 3, -1)
    return _coded(node, 6, matmul(_inner(node, "MatMul", *items)))


def qgemm(node: NodeContext) -> Value:
    """QGemm of onnxruntime; without a code its result is real."""
    axis = 0 if node.integer("transB", 0) else 1
    items = _real(node, 0), _real(node, 3, axis), _bias(node, 6, 1, 4, node.real("alpha", 1.0))
    if node.item(7) is None:
        return gemm(replace(_inner(node, "Gemm", *items), outputs=node.outputs))
    return _coded(node, 7, gemm(_inner(node, "Gemm", *items)))


def qlinear_concat(node: NodeContext) -> Value:
    """QLinearConcat: the code of the result first, then each tensor with its code."""
    items = [_real(node, index) for index in range(2, len(node.inputs), 3)]
    return _coded(node, 0, concat(_inner(node, "Concat", *items)))


def qlinear_softmax(node: NodeContext) -> Value:
    """QLinearSoftmax, whose attribute ``opset`` says which Softmax it is."""
    inner = replace(_inner(node, "Softmax", _real(node, 0)), opset=node.integer("opset", 13))
    return _coded(node, 3, softmax(inner))


def mat_mul_integer_to_float(node: NodeContext) -> Value:
    """MatMulIntegerToFloat: both factors, their scales, their zero points, a bias."""
    order = (0, 2, 4, 1, 3, 5)
    moved = replace(node, inputs=tuple(node.item(index) for index in order))
    product = matmul(_inner(node, "MatMul", _real(moved, 0), _real(moved, 3, -1)))
    return _plus(node, product, 6)


def dynamic_quantize_matmul(node: NodeContext) -> Value:
    """DynamicQuantizeMatMul: real data, a matrix of integers with its code, a bias."""
    product = matmul(_inner(node, "MatMul", node.item(0), _real(node, 1, -1)))
    return _plus(node, product, 4)


def _plus(node: NodeContext, x: Value, index: int) -> Value:
    bias = node.item(index)
    if bias is None:
        bias = node.scope.known(np.zeros((), np.float32), "bias")
    return add(replace(node, op_type="Add", inputs=(x, bias)))


def _inner(node: NodeContext, op_type: str, *items: AbstractValue) -> NodeContext:
    return replace(node, op_type=op_type, inputs=items, outputs=(f"{node.output}.real",))


def _real(node: NodeContext, index: int, axis: int = 1) -> AbstractValue:
    """What a quantised operand stands for; scale and zero point follow it."""
    match node.item(index):
        case Value() as q:
            code = code_at(node, index + 1, index + 2, len(q.type.shape) + 1, axis)
            return dequantized(node, q, code, f"{node.output}.operand{index}")
        case KnownArray() as known:
            code = code_at(node, index + 1, index + 2, known.arrays[0].ndim, axis)
            return known.changed(code.real, f"{known.name}.real")
    raise InvalidNode(f"has no input {index}")


def _bias(
    node: NodeContext, index: int, first: int, second: int, factor: float = 1.0
) -> KnownArray | None:
    known = node.known(index, "bias")
    if known is None:
        return None
    scales = [node.fixed(at, "scale") for at in (first, second)]
    if scales[0] is None or scales[1] is None:
        raise InvalidNode("has no scale")
    unit: Any = scales[0].astype(np.float64) * scales[1].astype(np.float64) * factor
    unit = unit.reshape(-1) if np.size(unit) > 1 else np.reshape(unit, ())
    return known.changed(lambda array: (array * unit).astype(np.float32), f"{known.name}.real")


def _coded(node: NodeContext, index: int, x: Value) -> Value:
    return quantized(node, x, code_at(node, index, index + 1, len(x.type.shape) + 1))


def _refuse_channels_last(node: NodeContext) -> None:
    if node.integer("channels_last", 0):
        raise Refused(
            f"{node.op_type} with channels last is not supported",
            "quantise without graph optimisation",
        )


def _reduce_mean(node: NodeContext) -> Value:
    return reduce(replace(node, opset=_REDUCE_OPSET))


qlinear_add = partial(_two_operands, "Add", add)
qlinear_mul = partial(_two_operands, "Mul", mul)
qlinear_sigmoid = one_operand("Sigmoid", unary_function)
qlinear_leaky_relu = one_operand("LeakyRelu", leaky_relu)
qlinear_average_pool = one_operand("AveragePool", average_pool)
qlinear_global_average_pool = one_operand("GlobalAveragePool", global_average_pool)
qlinear_reduce_mean = one_operand("ReduceMean", _reduce_mean)
