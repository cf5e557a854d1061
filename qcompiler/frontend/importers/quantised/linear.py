"""Importers of QuantizeLinear and DequantizeLinear, and of dynamic quantisation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.importers.composites.matrices import matmul
from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.layers.linear import conv
from qcompiler.frontend.importers.layers.recurrent import recurrent
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.integer_code import IntegerCode
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value

from .codes import code_at, code_of_type, dequantized, quantized

_FINE = 2.0**-8  # scale of codes that depend on the data, as of bytes that reach up to 1


def quantize_linear(node: NodeContext) -> Value:
    """QuantizeLinear of what depends on the data."""
    x = node.activation()
    return quantized(node, x, _code(node, x, node.integer("output_dtype", 0)))


def dequantize_linear(node: NodeContext) -> Value:
    """DequantizeLinear of what depends on the data."""
    q = node.activation()
    return dequantized(node, q, _code(node, q, 0), node.output)


def _code(node: NodeContext, x: Value, kind: int) -> IntegerCode:
    if node.integer("block_size", 0):
        raise Refused(
            f"{node.op_type} in blocks is not supported", "quantise per tensor or per channel"
        )
    code = code_at(node, 1, 2, len(x.type.shape) + 1, node.integer("axis", 1))
    if node.item(2) is None and kind:
        return code_of_type(_name(kind), code.scale, code.zero)
    return code


def _name(kind: int) -> str:
    if kind not in TensorProto.DataType.values():
        raise InvalidNode(f"has the unknown type {kind}")
    return str(helper.tensor_dtype_to_np_dtype(kind).name)


def dynamic_quantize_linear(node: NodeContext) -> tuple[Value | KnownArray, ...]:
    """DynamicQuantizeLinear: its codes differ between samples; here as if one scale were fixed.

    A bias that older versions of onnxruntime round to a multiple of it hardly changes.
    """
    names = (*node.outputs, "scale", "zero")[1:3]
    scale, zero = np.asarray(_FINE, np.float32), np.asarray(0, np.uint8)
    x = scaled_by(node, node.activation(), 1 / scale)
    return x, node.scope.known(scale, names[0]), node.scope.known(zero, names[1])


def mat_mul_integer(node: NodeContext) -> Value:
    """MatMulInteger: the product of what both factors are beyond their zero points."""
    return _sum(node, matmul(_beyond_zero(node, "MatMul", -1)))


def conv_integer(node: NodeContext) -> Value:
    """ConvInteger: a convolution of what image and weight are beyond their zero points."""
    return _sum(node, conv(_beyond_zero(node, "Conv", 0)))


def _sum(node: NodeContext, found: Value) -> Value:
    node.scope.sums.add(found.name)
    return found


def dynamic_quantize_lstm(node: NodeContext) -> tuple[Value, ...]:
    """DynamicQuantizeLSTM of onnxruntime: an LSTM whose weights are integers, transposed."""
    weights = (_unpacked(node, 1, 8), _unpacked(node, 2, 10))
    inputs = (node.item(0), *weights, *(node.item(index) for index in range(3, 8)))
    return recurrent(replace(node, op_type="LSTM", inputs=inputs))


def _unpacked(node: NodeContext, index: int, scale: int) -> KnownArray:
    """Weights of both directions: one scale and zero point each, or one for each row."""
    known, own = node.known(index, "weight"), node.fixed(scale, "scale")
    if known is None or own is None:
        raise InvalidNode("has no weights, or no scales of them")
    zero = node.fixed(scale + 1, "zero point")
    zero = np.zeros(own.shape) if zero is None else zero.astype(np.float64)
    own, zero = (array.reshape(len(array), 1, -1) for array in (own, zero))

    def real(array: Array) -> Array:
        found: Array = ((array.astype(np.float64) - zero) * own).swapaxes(1, 2)
        return found.astype(np.float32)

    return known.changed(real, f"{known.name}.real")


def _beyond_zero(node: NodeContext, op_type: str, axis: int) -> NodeContext:
    items: list[AbstractValue] = []
    for index in (0, 1):
        item, zero = node.item(index), node.fixed(index + 2, "zero point")
        shift = np.zeros(()) if zero is None else zero.astype(np.float64)
        if isinstance(item, Value):
            code = IntegerCode(np.ones(()), shift.reshape(()) if shift.size == 1 else shift, 0, 1)
            plain = not shift.any()
            items.append(item if plain else dequantized(node, item, code, f"{node.output}.real"))
        elif isinstance(item, KnownArray):
            items.append(item.changed(partial(_less, shift, axis), f"{item.name}.real"))
    return replace(node, op_type=op_type, inputs=tuple(items))


def _less(zero: Array, axis: int, array: Array) -> Array:
    if zero.ndim == 1 and axis == 0:
        zero = zero.reshape(-1, *(1,) * (array.ndim - 1))
    found: Array = array.astype(np.float64) - zero
    return found.astype(np.float32)
