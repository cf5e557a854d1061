"""Importers of the operators of quantised models."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.frontend.importers.quantised.linear import (
    conv_integer,
    dequantize_linear,
    dynamic_quantize_linear,
    dynamic_quantize_lstm,
    mat_mul_integer,
    quantize_linear,
)
from qcompiler.frontend.importers.quantised.operators import (
    dynamic_quantize_matmul,
    mat_mul_integer_to_float,
    qgemm,
    qlinear_add,
    qlinear_average_pool,
    qlinear_concat,
    qlinear_conv,
    qlinear_global_average_pool,
    qlinear_leaky_relu,
    qlinear_matmul,
    qlinear_mul,
    qlinear_reduce_mean,
    qlinear_sigmoid,
)
from qcompiler.frontend.importers.quantised.qonnx import bipolar_quant, quant, trunc

from .batch_places import Importer

_QONNX = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
_QUANTS: Mapping[str, Importer] = {
    "BipolarQuant": bipolar_quant,
    "IntQuant": quant,
    "Quant": quant,
    "Trunc": trunc,
}

# Rounding of a quantised model: the codes of populations.
QUANTISED: Mapping[str, Importer] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "MatMulInteger": mat_mul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize_linear,
    "com.microsoft.DynamicQuantizeLSTM": dynamic_quantize_lstm,
    "com.microsoft.DynamicQuantizeMatMul": dynamic_quantize_matmul,
    "com.microsoft.MatMulIntegerToFloat": mat_mul_integer_to_float,
    "com.microsoft.QGemm": qgemm,
    "com.microsoft.QLinearAdd": qlinear_add,
    "com.microsoft.QLinearAveragePool": qlinear_average_pool,
    "com.microsoft.QLinearConcat": qlinear_concat,
    "com.microsoft.QLinearConv": qlinear_conv,
    "com.microsoft.QLinearGlobalAveragePool": qlinear_global_average_pool,
    "com.microsoft.QLinearLeakyRelu": qlinear_leaky_relu,
    "com.microsoft.QLinearMul": qlinear_mul,
    "com.microsoft.QLinearReduceMean": qlinear_reduce_mean,
    "com.microsoft.QLinearSigmoid": qlinear_sigmoid,
    **{f"{domain}.{name}": found for domain in _QONNX for name, found in _QUANTS.items()},
}

# Of these a quantised weight is made.
CONSTANT_QUANTS = frozenset(f"{domain}.{name}" for domain in _QONNX for name in _QUANTS)
