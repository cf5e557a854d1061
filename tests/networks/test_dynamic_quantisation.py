"""What onnxruntime's quantize_dynamic has written, now and years ago."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate
from tests.support.onnx_models import run_onnx

Array = np.ndarray[Any, Any]


def quantised(shape: tuple[int, ...], axes: tuple[int, ...] = ()) -> tuple[Array, Array, Array]:
    """Random weights as bytes with a scale and a zero point, one of each for each index of axes."""
    rng = np.random.default_rng(3)
    own = tuple(shape[axis] for axis in axes)
    return (
        rng.integers(0, 256, shape).astype(np.uint8),
        np.asarray(rng.uniform(0.002, 0.004, own), np.float32),
        np.full(own, 120, np.uint8),
    )


def whole(nodes: list[Any], shape: tuple[Any, ...], **weights: Array) -> onnx.ModelProto:
    """A model of these nodes, from x of a shape to y."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)
        for name, axes in (("x", shape), ("y", None))
    ]
    given = [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], given)
    opsets = [helper.make_opsetid("", 12), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, ir_version=7, opset_imports=opsets)


def convolution() -> onnx.ModelProto:
    """A convolution whose bias is rounded to integers, as onnxruntime 1.3 wrote it."""
    make = helper.make_node
    nodes = [
        make("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]),
        make("Mul", ["xs", "ws"], ["bs"]),
        make("Div", ["b", "bs"], ["d"]),
        make("Floor", ["d"], ["f"]),
        make("Cast", ["f"], ["i"], to=TensorProto.INT32),
        make("ConvInteger", ["q", "w", "xz", "wz"], ["c"], pads=[1, 1, 1, 1]),
        make("Reshape", ["i", "axes"], ["r"]),
        make("Add", ["c", "r"], ["a"]),
        make("Cast", ["a"], ["s"], to=TensorProto.FLOAT),
        make("Mul", ["s", "bs"], ["p"]),
        make("Relu", ["p"], ["y"]),
    ]
    w, ws, wz = quantised((4, 2, 3, 3))
    b = np.linspace(-0.5, 0.5, 4, dtype=np.float32)
    return whole(nodes, ("N", 2, 6, 6), w=w, ws=ws, wz=wz, b=b, axes=np.array([1, -1, 1, 1]))


def lstm(rows: bool) -> onnx.ModelProto:
    """An LSTM in both directions, with one scale for each, or for each row of its weights."""
    axes, names = (0, 2) if rows else (0,), ("x", "w", "r", "b", "", "", "", "")
    node = helper.make_node(
        "DynamicQuantizeLSTM",
        [*names, "ws", "wz", "rs", "rz"],
        ["l"],
        domain="com.microsoft",
        direction="bidirectional",
        hidden_size=4,
    )
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node,
        helper.make_node("Transpose", ["l"], ["y"], perm=[2, 0, 1, 3]),
    ]
    node.input[0] = "t"
    (w, ws, wz), (r, rs, rz) = quantised((2, 3, 16), axes), quantised((2, 4, 16), axes)
    b = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)
    return whole(nodes, ("N", 5, 3), w=w, r=r, b=b, ws=ws, wz=wz, rs=rs, rz=rz)


@pytest.mark.parametrize("rows", [False, True])
def test_an_lstm_with_weights_of_bytes(rows: bool) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (20, 5, 3)).astype(np.float32)
    graph = import_model(lstm(rows), allow_products=True).graph
    (wanted,) = run_onnx(lstm(rows), {"x": x})
    assert np.abs(evaluate(graph, x)[0] - wanted).max() < 0.02


def test_a_bias_in_integers() -> None:
    proto, rng = convolution(), np.random.default_rng(1)
    x = rng.uniform(-1, 1, (40, 2, 6, 6)).astype(np.float32)
    (wanted,) = run_onnx(proto, {"x": x})
    (found,) = evaluate(import_model(proto).graph, x)
    assert np.abs(found - wanted).max() < 0.02
    program = qcompiler.compile(proto, target="reference", calibration=x)
    assert np.abs(np.asarray(program.run(x)) - wanted).mean() < 0.02
