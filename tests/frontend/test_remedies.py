"""What helps, as errors say it, leads to a network that compiles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import version_converter

import qcompiler
from qcompiler import size_limits
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.frontend.model.refusals import _GROUPS
from qcompiler.ir import CompileError, CompileWarning
from tests.support.onnx_models import ints, model

FLAT, ROWS = "float[N,6] x", "float[N,4,5] x"
CUT = [op for text, ops in _GROUPS.items() if "cut the model before" in text for op in ops.split()]


def help_of(proto: onnx.ModelProto, **options: Any) -> str:
    """The help of the first finding, of the frontend or behind it."""
    with pytest.raises(CompileError) as caught:
        qcompiler.compile(proto, target="reference", **options)
    return caught.value.diagnostics[0].help or ""


def data(*shape: int, low: float = 0.0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(low, 1, (64, *shape)).astype(np.float32)


def cut(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model up to a value."""
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    found.graph.output[0].name = name
    return found


@pytest.mark.parametrize("op", CUT)
def test_cut_before_an_operator(op: str) -> None:
    node = onnx.helper.make_node(op, ["r"], ["y"], f"{op}_node")
    proto = model("float[N,3,8,8] x", "r = Relu(x)", outputs="y")
    proto.graph.node.append(node)
    refused = [one for one in check_model(proto) if one.kind == "refused"]
    if not refused:
        pytest.skip("is supported")
    assert [one.name for one in refused] == [f"{op}_node"]
    assert "cut the model before this node" in (refused[0].help or "")
    assert import_model(cut(proto, "r")).graph.nodes


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_products_are_allowed_where_the_help_says_so(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size_limits, "PRODUCT_NEURONS", 40)
    gate = "a = MatMul(x, w) s = Sigmoid(a) y = Mul(x, s)"
    cells: dict[str, dict[str, Any]] = {
        gate: {"w": (6, 6)},
        "r = Reshape(x, s) y = GRU<hidden_size=2, layout=1>(r, i, h)": {
            **{"s": ints(-1, 2, 3), "i": (1, 6, 3), "h": (1, 6, 2)}
        },
    }
    for body, weights in cells.items():
        proto = model(FLAT, body, **weights)
        assert "allow_products=True" in help_of(proto)
        qcompiler.compile(proto, target=target, calibration=data(6), allow_products=True)


@pytest.mark.parametrize(("most", "named"), [(40, 4), (24, 2), (12, None)])
def test_a_smaller_t_max_is_told_where_it_suffices(
    most: int, named: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products take 6 neurons for each bit of a level, twice."""
    monkeypatch.setattr(size_limits, "PRODUCT_NEURONS", most)
    monkeypatch.setattr(size_limits, "_other_neurons", lambda graph: 0)
    proto = model(FLAT, "a = MatMul(x, w) s = Sigmoid(a) y = Mul(x, s)", w=(6, 6))
    fewer = f", use t_max={named}," if named else ""
    assert f"give allow_products=True{fewer} or cut the model" in help_of(proto)
    if named:
        qcompiler.compile(proto, target="reference", calibration=data(6), t_max=named)


def test_products_take_as_much_as_the_rest_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """At four levels 30 neurons, where inputs, layers and the function take 18, and 30."""
    monkeypatch.setattr(size_limits, "PRODUCT_NEURONS", 1)
    for layers, costly in ((1, 1), (3, 0)):
        more = " ".join(f"b{n} = MatMul(a{n}, w) a{n + 1} = Relu(b{n})" for n in range(layers - 1))
        body = f"a0 = MatMul(x, w) {more} s = Sigmoid(a{layers - 1}) y = Mul(x, s)"
        graph = import_model(model(FLAT, body, w=(6, 6)), allow_products=True).graph
        assert len(size_limits.costly_products(graph, 4)) == costly


def test_few_products_need_no_option() -> None:
    proto = model(FLAT, "a = MatMul(x, w) s = Sigmoid(a) y = Mul(x, s)", w=(6, 6))
    program = qcompiler.compile(proto, target="reference", calibration=data(6))
    assert program.manifest["product_neurons"] == 6 * (4 + 4 + 2)  # bits, gates, a sum in digits


@pytest.mark.parametrize(
    ("body", "bits", "gates"),
    [
        ("t = Transpose<perm=[0,2,1]>(b) p = MatMul(a, t)", 20, 4 * 5 * 4),  # rows share bits
        (
            "k = MatMul(x, z) c = Relu(k) d = Mul(c, b) e = Mul(a, b) p = Concat<axis=1>(d, e)",
            20,
            20 + 20,
        ),
    ],
)
def test_products_are_counted_as_they_are_built(body: str, bits: int, gates: int) -> None:
    """Of 16 levels; a network as small as these keeps the sums of gates, others need none."""
    hidden = "g = MatMul(x, w) a = Relu(g) h = MatMul(x, v) b = Relu(h)"
    weights: dict[str, Any] = {
        "w": (5, 5),
        "v": (5, 5),
        "z": (5, 5),
        "u": (4 if "(a, t)" in body else 5, 2),
    }
    proto = model(ROWS, f"{hidden} {body} y = MatMul(p, u)", **weights)
    told = size_limits.products_of(import_model(proto, None, True).graph, 16)
    assert sum(neurons for _, neurons in told) == 4 * (bits + gates)
    program = qcompiler.compile(proto, target="reference", calibration=data(4, 5, low=-1))
    assert program.manifest["product_neurons"] == 4 * (bits + gates) + gates


def test_index_inside() -> None:
    proto = model(ROWS, "s = ArgMax<axis=1>(x) r = Cast<to=1>(s) y = Relu(r)")
    assert "end the model at this node" in help_of(proto)
    end = cut(proto, "s")
    end.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    qcompiler.compile(end, target="reference")


@pytest.mark.parametrize(("weight", "more"), [((3, 2), ""), ((2, 4), ", transB=1")])
def test_a_product_over_samples(weight: tuple[int, int], more: str) -> None:
    proto = model(FLAT, f"y = Gemm<transA=1{more}>(x, w)", w=weight)
    (length,) = re.findall(r"fix its first axis at (\d+)", help_of(proto))
    qcompiler.compile(proto, target="reference", input_shapes={"x": (int(length), 6)})


def test_counts_that_are_inputs() -> None:
    weights: dict[str, Any] = {"p": ints(0, 0, 1, 0, 0, 1), "k": ints(2), "a": ints(1)}
    for body in ("y = Pad(x, p)", "y = ReduceSum(x, a)", "y, i = TopK(x, k)", "y = CumSum(x, k)"):
        (name,) = {*re.findall(r"\w", body.partition("(x")[2])} & {*weights}
        text = help_of(model(f"{ROWS}, int64[M] {name}", body))
        assert "give it as an initializer, not" in text
        qcompiler.compile(model(ROWS, body, **{name: weights[name]}), target="reference")


def test_deprecated_scatter() -> None:
    body = "r = Relu(x) y = Scatter<axis=1>(r, i, u)"
    proto = model("float[1,6] x", body, 10, i=ints(1, 2).reshape(1, 2), u=np.zeros((1, 2), "f"))
    assert "onnx.version_converter" in help_of(proto)
    qcompiler.compile(version_converter.convert_version(proto, 11), target="reference")


def test_function_that_is_not_finite() -> None:
    proto = model(FLAT, "y = Log(x)")
    text = help_of(proto)
    assert "calibrate with data without" in text and "clip the values before this node" in text
    qcompiler.compile(proto, target="reference", calibration=data(6, low=0.5))
    zero = data(6)
    zero[0] = 0
    assert help_of(proto, calibration=zero) == text
    clipped = model(FLAT, "c = Clip(x, l) y = Log(c)", l=np.float32(0.05))
    qcompiler.compile(clipped, target="reference", calibration=zero, weight_bits=12)


STEEP = "h = Gemm(x, w) r = {}(h) y = Gemm(r, v)"


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize(("activation", "scale"), [("Tanh", 400), ("Clip", 60), ("Clip", 5000)])
def test_steep_layers(target: str, activation: str, scale: float) -> None:
    rng = np.random.default_rng(0)
    weight = (scale * rng.standard_normal((6, 16))).astype(np.float32)
    body = STEEP.format(activation).replace("Clip(h)", "Clip(h, lo, hi)")
    bounds: dict[str, Any] = (
        {"lo": np.float32(0), "hi": np.float32(1)} if activation == "Clip" else {}
    )
    proto = model(FLAT, body, w=weight, v=(16, 3), **bounds)
    options: dict[str, Any] = {"target": target, "weight_bits": 8}
    for _ in range(3):  # one layer after another
        try:
            qcompiler.compile(proto, calibration=data(6), **options)
            return
        except CompileError as error:
            helps = [finding.help or "" for finding in error.diagnostics]
        asked = [re.search(r"weight_bits=(\d+)", text) for text in helps]
        if not any(asked):
            assert all('or target="reference"' in text for text in helps)
            options["target"] = "reference"
            continue
        bits = max(int(found[1]) for found in asked if found)
        assert bits > options["weight_bits"]
        options = {"target": "reference", "weight_bits": bits}
    raise AssertionError("the help does not help")


@pytest.mark.parametrize("effort", [0, 1])
def test_steep_layers_behind_each_other_are_told_at_once(effort: int) -> None:
    rng = np.random.default_rng(0)
    weights: dict[str, Any] = {"lo": np.float32(0), "hi": np.float32(1), "v": (16, 3)}
    for name, scale, rows in (("w", 5e3, 6), ("u", 2e4, 16)):
        weights[name] = (scale * rng.standard_normal((rows, 16))).astype(np.float32)
    clips = "h = Gemm(x, w) r = Clip(h, lo, hi) k = Gemm(r, u) q = Clip(k, lo, hi)"
    proto = model(FLAT, f"{clips} y = Gemm(q, v)", **weights)
    with pytest.raises(CompileError) as caught:
        qcompiler.compile(proto, target="reference", calibration=data(6), effort=effort)
    nodes = [finding.nodes for finding in caught.value.diagnostics]
    assert nodes == [("h_node", "r_node"), ("k_node", "q_node")]


@pytest.mark.parametrize(("target", "t_max"), [("loihi", 256), ("loihi", 4), ("reference", 256)])
def test_segments_have_as_few_levels_as_membranes_ask(target: str, t_max: int) -> None:
    rng = np.random.default_rng(0)
    weight = (400 * rng.standard_normal((6, 64))).astype(np.float32)
    proto = model(FLAT, STEEP.format("Tanh"), w=weight, v=(64, 3))
    qcompiler.compile(proto, target=target, calibration=data(6), t_max=t_max)


def test_masks_ask_for_smaller_constants() -> None:
    """No weights follow an exponential down to -5,000, nor do numbers reach up to 3e38.

    From 1e4 on a factor of an input tells that this is a mask.
    """

    def masked(constant: float) -> onnx.ModelProto:
        body = "m = Sub(flags, one) c = Mul(m, k) s = Add(x, c) p = Softmax(s) y = MatMul(p, w)"
        one, k = np.float32(1), np.float32(constant)
        return model("float[N,6] x, float[N,6] flags", body, w=(6, 3), one=one, k=k)

    flags = (data(6) > 0.4).astype(np.float32)
    given: dict[str, Any] = {"calibration": (data(6, low=-1), flags), "t_max": 64}
    with pytest.warns(CompileWarning, match="changes only from") as told:
        qcompiler.compile(masked(5e3), target="reference", **given)
    assert any("as -20 in place of -5e+03 in a mask" in str(one.message) for one in told)
    assert "help: see to the functions first" in str(told[-1].message)
    qcompiler.compile(masked(20), target="reference", **given)
    proto = model("float[N,6] x", "s = Mul(x, k) r = Relu(s) y = Div(r, k)", k=np.float32(3e38))
    with pytest.raises(CompileError, match=r"%r: calibration values reach 2.*e.38") as caught:
        qcompiler.compile(proto, target="reference", calibration=data(6), t_max=64)
    (found,) = caught.value.diagnostics
    assert found.nodes and "such as -20 in an additive mask" in (found.help or "")


def test_models_with_layouts_of_a_processor(tmp_path: Path) -> None:
    """As onnxruntime saves them where the processor has such layouts."""
    proto = model(
        "float[N,16,4,4] x", "c = Conv(x, w) r = Relu(c) y = Flatten(r)", w=(16, 16, 3, 3)
    )
    given = onnx.ModelProto.FromString(proto.SerializeToString())
    given.graph.node[0].domain = "com.microsoft.nchwc"
    given.opset_import.append(onnx.helper.make_opsetid("com.microsoft.nchwc", 1))
    assert "onnxruntime saves with ORT_ENABLE_EXTENDED" in help_of(given)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    ort.InferenceSession(proto.SerializeToString(), options)
    assert "FusedConv" in {node.op_type for node in onnx.load(tmp_path / "saved.onnx").graph.node}
    import_model(onnx.load(tmp_path / "saved.onnx"))
