"""Quantised models: chains of dense layers between codes, and single operators on integers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]


def dense_chain(seed: int, weight_bits: int, levels: int) -> onnx.ModelProto:
    """Three dense layers with codes of ``levels`` levels between them: Quantize, Clip, Dequantize.

    Weights have a scale for each channel and ``weight_bits`` bits.
    """
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    held: list[onnx.TensorProto] = []

    def constant(name: str, array: Any) -> str:
        held.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def code(x: str, index: int, scale: float, zero: int) -> str:
        scaled = constant(f"s{index}", np.float32(scale)), constant(f"z{index}", np.uint8(zero))
        ends = constant(f"l{index}", np.uint8(0)), constant(f"h{index}", np.uint8(levels - 1))
        nodes.append(helper.make_node("QuantizeLinear", [x, *scaled], [f"q{index}"]))
        nodes.append(helper.make_node("Clip", [f"q{index}", *ends], [f"c{index}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"c{index}", *scaled], [f"d{index}"]))
        return f"d{index}"

    most, widths = 2 ** (weight_bits - 1) - 1, (12, 16, 10, 5)
    x = code("x", 0, 1 / (levels - 1), 0)
    for index, (fan, width) in enumerate(pairwise(widths), 1):
        weight = rng.integers(-most, most + 1, (fan, width)).astype(np.int8)
        scale = rng.uniform(0.5, 1.5, width) * 1.7 / most / np.sqrt(fan)
        nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [constant(f"W{index}", weight), constant(f"t{index}", scale.astype(np.float32))],
                [f"w{index}"],
                axis=1,
            )
        )
        bias = constant(f"b{index}", (0.1 * rng.normal(size=width)).astype(np.float32))
        nodes.append(helper.make_node("Gemm", [x, f"w{index}", bias], [f"g{index}"]))
        last = index == len(widths) - 1
        if not last:
            nodes.append(helper.make_node("Relu", [f"g{index}"], [f"r{index}"]))
        zero = levels // 2 if last else 0
        x = code(f"{'g' if last else 'r'}{index}", index, rng.uniform(2, 4) / (levels - 1), zero)
    nodes[-1].output[0] = "y"
    float_ = onnx.TensorProto.FLOAT
    x_info, y_info = (
        helper.make_tensor_value_info(name, float_, ["N", width])
        for name, width in (("x", widths[0]), ("y", widths[-1]))
    )
    graph = helper.make_graph(nodes, "chain", [x_info], [y_info], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def operator(body: str, shape: str, **weights: Any) -> onnx.ModelProto:
    """A model that quantises x to ``q``, and returns what ``r`` stands for.

    ``xs``, ``xz``, ``rs`` and ``rz`` are the scales and zero points of both.
    """
    opsets = '"" : 17, "com.microsoft": 1'
    found = onnx.parser.parse_model(
        f"<ir_version: 8, opset_import: [{opsets}]> graph (float[N,{shape}] x) => (float y) "
        f"{{ q = QuantizeLinear(x, xs, xz) {body} y = DequantizeLinear(r, rs, rz) }}"
    )
    found.graph.output[0].type.tensor_type.ClearField("shape")
    ends = {"xs": np.float32(0.02), "xz": np.uint8(110), "rs": np.float32(0.03)}
    for name, array in {**ends, "rz": np.uint8(120), **weights}.items():
        found.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return found
