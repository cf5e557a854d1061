"""Quantised models: a code of the model is the code of a population, and sums round as there."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import qcompiler
from qcompiler.backends.host import output_nodes
from qcompiler.ir import UnsupportedModel
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.passes.requantization.requantization import Sums, requantization_of
from tests.support.onnx_models import run_bytes, run_onnx
from tests.support.quantised_models import dense_chain, operator

Array = NDArray[Any]
EXAMPLES = Path(__file__).parents[2] / "examples"

RNG = np.random.default_rng(0)
FEW = np.float32(0.005)


def _weight(*shape: int) -> Array:
    return RNG.integers(-127, 128, shape).astype(np.int8)


def _unsigned(*shape: int) -> Array:
    return RNG.integers(0, 256, shape).astype(np.uint8)


SQUARE = {"w": _weight(8, 5), "ws": FEW, "wz": np.int8(0)}
CODE = {"as": np.float32(0.021), "az": np.uint8(100)}
OTHER = {"v": _weight(8, 5), "cs": np.float32(0.017), "cz": np.uint8(128)}
IMAGE = {"w": _unsigned(4, 3, 3, 3), "ws": FEW, "wz": np.uint8(131)}
SCALES = RNG.uniform(0.001, 0.01, 4).astype(np.float32)
KERNEL = {"w": _weight(4, 3, 3, 3), "ws": SCALES, "wz": np.zeros(4, np.int8)}
BIAS = {"b": RNG.integers(-3000, 3000, 4).astype(np.int32)}
ROWS = {"w": _weight(4, 8), "ws": SCALES, "wz": np.zeros(4, np.int8)}
REAL = {"wf": (_weight(8, 5) * FEW).astype(np.float32)}
A_AND_C = "a = QLinearMatMul(q,xs,xz,w,ws,wz,as,az) c = QLinearMatMul(q,xs,xz,v,ws,wz,cs,cz)"

# name: nodes from the integers q to the integers r, shape of a sample, weights
OPERATORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "conv": (
        "r = QLinearConv<pads=[1,1,1,1]>(q,xs,xz,w,ws,wz,rs,rz,b)",
        "3,6,6",
        {**KERNEL, **BIAS},
    ),
    "conv of bytes": ("r = QLinearConv(q,xs,xz,w,ws,wz,rs,rz)", "3,6,6", IMAGE),
    "matmul": ("r = QLinearMatMul(q,xs,xz,w,ws,wz,rs,rz)", "8", SQUARE),
    "gemm": (
        "r = com.microsoft.QGemm<transB=1>(q,xs,xz,w,ws,wz,b,rs,rz)",
        "8",
        {**ROWS, **BIAS},
    ),
    "faint channels": (
        "r = com.microsoft.QGemm<transB=1>(q,xs,xz,w,ws,wz,b,rs,rz)",
        "8",
        {**ROWS, **BIAS, "ws": np.array([0.005, 1e-12, 1e-7, 3e-6], np.float32)},
    ),
    "add": (
        f"{A_AND_C} r = com.microsoft.QLinearAdd(a,as,az,c,cs,cz,rs,rz)",
        "8",
        {**SQUARE, **CODE, **OTHER},
    ),
    "global pool": ("r = com.microsoft.QLinearGlobalAveragePool(q,xs,xz,rs,rz)", "3,6,6", {}),
    "pool": (
        "r = com.microsoft.QLinearAveragePool<kernel_shape=[2,2],strides=[2,2]>(q,xs,xz,rs,rz)",
        "3,6,6",
        {},
    ),
    "concat": (
        "a = QLinearMatMul(q,xs,xz,w,ws,wz,as,az) "
        "r = com.microsoft.QLinearConcat<axis=1>(rs,rz,a,as,az,q,xs,xz)",
        "8",
        {**SQUARE, **CODE},
    ),
    "maxima": (
        "p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(q) r = QLinearConv(p,xs,xz,w,ws,wz,rs,rz)",
        "3,6,6",
        IMAGE,
    ),
    "flat": (
        "p = Flatten(q) r = QLinearMatMul(p,xs,xz,w,ws,wz,rs,rz)",
        "2,4",
        SQUARE,
    ),
    "pad": (
        "p = Pad(q,pads,xz) r = QLinearConv(p,xs,xz,w,ws,wz,rs,rz)",
        "3,4,4",
        {**IMAGE, "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
    ),
    "integers": (
        "a = MatMulInteger(q,w,xz,wz) c = Cast<to=1>(a) d = Mul(c,u) r = QuantizeLinear(d,rs,rz)",
        "8",
        {"w": SQUARE["w"], "wz": np.int8(0), "u": np.float32(0.02) * FEW},
    ),
    "pair": (
        "d = DequantizeLinear(q,xs,xz) e = Relu(d) g = MatMul(e,wf) r = QuantizeLinear(g,rs,rz)",
        "8",
        REAL,
    ),
    "leaky": ("r = com.microsoft.QLinearLeakyRelu<alpha=0.1>(q,xs,xz,rs,rz)", "8", {}),
    "sigmoid": (
        "r = com.microsoft.QLinearSigmoid(q,xs,xz,rs,rz)",
        "8",
        {"rs": np.float32(1 / 256), "rz": np.uint8(0)},
    ),
    "bytes out": ("d = DequantizeLinear(q,xs,xz) r = QuantizeLinear(d,rs,rz)", "8", {}),
}


@pytest.mark.parametrize(("weight_bits", "levels"), [(2, 4), (3, 8), (4, 16), (2, 16)])
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_networks_of_few_levels_are_the_model_level_for_level(
    weight_bits: int, levels: int, target: str
) -> None:
    model = dense_chain(0, weight_bits, levels)
    x = np.random.default_rng(1).uniform(0, 1, (1000, 12)).astype(np.float32)
    program = qcompiler.compile(model, target=target)
    assert {spikes_of(node.result).t_max for node in spiking_nodes(program.graph)} == {levels}
    told = program.manifest["rounding"]
    (expected,) = run_onnx(model, {"x": x})
    if target == "reference":
        assert [layer["otherwise"] for layer in told] == [0, 0, 0]
        np.testing.assert_allclose(program.run(x), expected, 1e-5, 1e-6)
    elif not any(layer["otherwise"] for layer in told):
        np.testing.assert_allclose(program.run(x), expected, 1e-5, 1e-6)


def test_bytes_round_otherwise_by_one_level_and_less_with_more_bits() -> None:
    model = dense_chain(0, 8, 256)
    apart = {}
    for bits in (8, 16):
        told = qcompiler.compile(model, target="reference", weight_bits=bits).manifest["rounding"]
        assert not any(layer["apart"] for layer in told)
        apart[bits] = [layer["otherwise"] / layer["sums"] for layer in told]
    assert max(apart[8]) < 0.03
    assert max(apart[16]) < 0.1 * max(apart[8])


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_on_integers_are_at_most_one_level_off(name: str, tmp_path: Path) -> None:
    body, shape, weights = OPERATORS[name]
    model = operator(body, shape, **weights)
    size = (200, *map(int, shape.split(",")))
    x = np.random.default_rng(2).uniform(-2.2, 2.9, size).astype(np.float32)
    (expected,) = run_bytes(model, {"x": x}, tmp_path)
    scale = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "rs")
    program = qcompiler.compile(model, target="reference")
    assert np.abs((program.run(x) - expected) / scale).max() < 1.01
    assert not any(layer.get("apart") for layer in program.manifest["rounding"])


def test_codes_are_chosen_anew_for_fewer_levels() -> None:
    model = dense_chain(0, 8, 256)
    x = np.random.default_rng(1).uniform(0, 1, (500, 12)).astype(np.float32)
    (expected,) = run_onnx(model, {"x": x})
    program = qcompiler.compile(model, target="reference", t_max=16, calibration=x)
    ends = output_nodes(program.graph)
    nodes = [node for node in spiking_nodes(program.graph) if "population" in node.op.mnemonic]
    assert {spikes_of(node.result).t_max for node in nodes if node not in ends} == {16}
    assert np.abs(program.run(x) - expected).mean() < 0.2 * expected.std()


def test_dynamic_quantisation_is_a_layer_in_real_numbers() -> None:
    body = (
        "d = DequantizeLinear(q,xs,xz) e = MatMul(d,wf) t, ts, tz = DynamicQuantizeLinear(e) "
        "m = MatMulInteger(t,u,tz,wz) c = Cast<to=1>(m) s = Mul(ts,ws) g = Mul(c,s) "
        "r = QuantizeLinear(g,rs,rz)"
    )
    model = operator(body, "8", **REAL, u=_weight(5, 4), wz=np.int8(0), ws=FEW)
    x = np.random.default_rng(2).uniform(-2.2, 2.9, (200, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"x": x})
    program = qcompiler.compile(model, target="reference", calibration=x)
    assert np.abs(program.run(x) - expected).mean() < 0.03


def test_softmax_between_codes_is_done_by_the_host() -> None:
    body = (
        "d = DequantizeLinear(q,xs,xz) e = MatMul(d,wf) s = Softmax(e) r = QuantizeLinear(s,rs,rz)"
    )
    ends = {"rs": np.float32(1 / 256), "rz": np.uint8(0)}
    model = operator(body, "8", **REAL, **ends)
    x = np.random.default_rng(2).uniform(-2.2, 2.9, (200, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"x": x})
    program = qcompiler.compile(model, target="reference", calibration=x)
    assert np.abs(program.run(x) - expected).max() < 0.02


@pytest.mark.parametrize("seed", range(20))
def test_requantization_counts_the_sums_that_round_otherwise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t_max, low, high = int(rng.integers(2, 40)), -int(rng.integers(1, 300)), 400
    unit = rng.choice([0.25, 0.5, 1.0, rng.uniform(0.01, 2)])
    offset, zero = rng.uniform(-2, t_max), int(rng.integers(0, t_max))
    offset = np.rint(offset) if seed % 2 else offset
    one = (np.array([n], np.float64) for n in (low, high, unit, offset))
    found = requantization_of(Sums(*one), t_max, zero, np.array([16.0]), 1 << 15)
    assert found is not None
    sums = np.arange(low, high + 1)
    model = np.rint(sums * unit + offset - zero).clip(-zero, t_max - 1 - zero) + zero
    levels = np.floor((found.times * sums + found.bias) / found.slope).clip(0, t_max - 1)
    apart = np.abs(levels - model)
    assert apart.sum() == found.otherwise[0]
    assert found.apart or apart.max() <= 1


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_example_gives_the_same_scores_everywhere(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train: Any = run_path(str(EXAMPLES / "few_levels" / "train_few_levels.py"))
    calibration, test = (
        np.load(EXAMPLES / "digits" / f"digits_{name}.npz") for name in ("calibration", "test")
    )
    network = train["Network"](bits)
    monkeypatch.setitem(train["Network"].fit.__globals__, "EPOCHS", 10)
    network.fit(calibration["images"].reshape(-1, 64) / 16, calibration["labels"])
    x = (test["images"].reshape(-1, 64) / 16).astype(np.float32)
    model = network.to_onnx()
    expected = network.forward(x.astype(np.float64))
    program = qcompiler.compile(model, target="reference")
    assert [layer["otherwise"] for layer in program.manifest["rounding"]] == [0, 0]
    np.testing.assert_allclose(program.run(x), expected, 1e-5, 1e-5)
    np.testing.assert_allclose(run_onnx(model, {"image": x})[0], expected, 1e-5, 1e-5)
    assert np.mean(expected.argmax(axis=1) == test["labels"]) > 0.5


def test_only_layers_between_codes_are_told_to_be_equal() -> None:
    for name, known in (("leaky", False), ("add", True), ("pair", True)):
        body, shape, weights = OPERATORS[name]
        program = qcompiler.compile(operator(body, shape, **weights), target="reference")
        *_, last = program.manifest["rounding"]
        assert ("sums" in last) == known


def test_sums_of_unlike_scales_are_counted() -> None:
    body, shape, weights = OPERATORS["add"]
    told = qcompiler.compile(operator(body, shape, **weights), target="reference").manifest
    *_, last = told["rounding"]
    assert last["sums"] == 256**2
    assert 0 < last["otherwise"] < 0.03 * last["sums"]
    assert not last["apart"]


def test_codes_behind_a_relu_are_cut_and_merge() -> None:
    body = (
        "d = DequantizeLinear(q,xs,xz) e = MatMul(d,wf) f = Relu(e) g = QuantizeLinear(f,rs,rz) "
        "h = DequantizeLinear(g,rs,rz) i = Relu(h) r = QuantizeLinear(i,rs,rz)"
    )
    model = operator(body, "8", **REAL, xz=np.int8(-3), rz=np.int8(0))
    x = np.random.default_rng(2).uniform(-2.2, 2.9, (200, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"x": x})
    program = qcompiler.compile(model, target="reference")
    _, made = (spikes_of(node.result) for node in spiking_nodes(program.graph))
    assert (made.t_max, made.zero) == (128, 0)
    assert np.abs((program.run(x) - expected) / 0.03).max() < 1.01


def test_rounding_of_the_model_is_no_error_of_the_program() -> None:
    x = np.random.default_rng(1).uniform(0, 1, (300, 12)).astype(np.float32)
    model = dense_chain(0, 4, 16)
    program = qcompiler.compile(model, target="reference", calibration=x)
    assert not program.warnings
    np.testing.assert_allclose(program.run(x), run_onnx(model, {"x": x})[0], 1e-5, 1e-6)


def test_blocks_and_strange_scales_are_refused() -> None:
    model = operator("r = QLinearMatMul(q,xs,xz,w,ws,wz,rs,rz)", "8", **SQUARE)
    _set(model, "xs", np.float32(0))
    with pytest.raises(qcompiler.ir.InvalidModel, match="scale that is not positive"):
        qcompiler.compile(model, target="reference")
    _set(model, "xs", np.full(8, 0.02, np.float32))
    _set(model, "xz", np.full(3, 110, np.uint8))
    with pytest.raises((UnsupportedModel, qcompiler.ir.InvalidModel)):
        qcompiler.compile(model, target="reference")


def _set(model: onnx.ModelProto, name: str, array: Any) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(array), name))


def _qonnx(nodes: list[onnx.NodeProto], **weights: Any) -> onnx.ModelProto:
    held = [numpy_helper.from_array(np.asarray(a, np.float32), n) for n, a in weights.items()]
    ends = [helper.make_tensor_value_info(n, 1, ["N", w]) for n, w in (("x", 12), ("y", 5))]
    graph = helper.make_graph(nodes, "qonnx", ends[:1], ends[1:], held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _quant(*names: str, **attributes: Any) -> onnx.NodeProto:
    domain = "qonnx.custom_op.general"
    return helper.make_node("Quant", names[:4], names[4:], domain=domain, **attributes)


def _rounded(x: Array, scale: float, low: int, high: int) -> Array:
    """What Quant gives without a zero point."""
    found: Array = np.rint((x.astype(np.float64) / scale).clip(low, high)) * scale
    return found


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_quant_of_qonnx_is_a_code_level_for_level(bits: int) -> None:
    rng = np.random.default_rng(bits)
    first, second = rng.normal(size=(12, 16)), rng.normal(size=(16, 5))
    top, most = 2**bits - 1, 2 ** (bits - 1) - 1
    a, b, c = 1 / top, 4.7 / top, 19.3 / (2 * most + 1)
    ws = 2.9 / most
    nodes = [
        _quant("x", "a", "none", "bits", "p", signed=0),
        _quant("w", "ws", "none", "bits", "wq", signed=1, narrow=1),
        helper.make_node("MatMul", ["p", "wq"], ["m"]),
        helper.make_node("Relu", ["m"], ["h"]),
        _quant("h", "b", "none", "bits", "hq", signed=0),
        _quant("v", "ws", "none", "bits", "vq", signed=1, narrow=1),
        helper.make_node("MatMul", ["hq", "vq"], ["o"]),
        _quant("o", "c", "none", "bits", "y", signed=1),
    ]
    given = {"a": a, "b": b, "c": c, "ws": ws, "none": 0.0, "bits": float(bits)}
    model = _qonnx(nodes, w=first, v=second, **given)
    x = rng.uniform(0, 1, (500, 12)).astype(np.float32)
    h = _rounded(x, a, 0, top) @ _rounded(first, ws, -most, most)
    o = _rounded(np.maximum(h, 0), b, 0, top) @ _rounded(second, ws, -most, most)
    expected = _rounded(o, c, -most - 1, most)
    program = qcompiler.compile(model, target="reference")
    assert {spikes_of(node.result).t_max for node in spiking_nodes(program.graph)} == {2**bits}
    assert [layer["otherwise"] for layer in program.manifest["rounding"]] == [0, 0]
    np.testing.assert_allclose(program.run(x), expected, 1e-4, 1e-4)


def test_bipolar_quant_and_trunc() -> None:
    rng = np.random.default_rng(3)
    weight, second = rng.normal(size=(12, 16)), rng.normal(size=(16, 5))
    domain = "qonnx.custom_op.general"
    nodes = [
        _quant("x", "a", "none", "two", "p", signed=0),
        helper.make_node("BipolarQuant", ["w", "s"], ["wq"], domain=domain),
        helper.make_node("MatMul", ["p", "wq"], ["m"]),
        helper.make_node("BipolarQuant", ["m", "s"], ["h"], domain=domain),
        helper.make_node("BipolarQuant", ["v", "s"], ["vq"], domain=domain),
        helper.make_node("MatMul", ["h", "vq"], ["o"]),
        helper.make_node("Relu", ["o"], ["r"]),
        helper.make_node("Trunc", ["r", "u", "none", "five", "four"], ["y"], domain=domain),
    ]
    numbers = {"a": 1 / 3, "s": 0.5, "u": 0.25, "none": 0.0, "two": 2.0, "four": 4.0, "five": 5.0}
    model = _qonnx(nodes, w=weight, v=second, **numbers)
    x = rng.uniform(0, 1, (500, 12)).astype(np.float32)
    m = _rounded(x, 1 / 3, 0, 3) @ np.where(weight >= 0, 0.5, -0.5)
    h = np.where(m >= -1e-9, 0.5, -0.5)
    o = np.maximum(h @ np.where(second >= 0, 0.5, -0.5), 0)
    expected = np.floor(np.rint(o / 0.25) / 2).clip(0, 15) * 0.25
    program = qcompiler.compile(model, target="reference")
    np.testing.assert_allclose(program.run(x), expected, 1e-5, 1e-5)
