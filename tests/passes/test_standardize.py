"""Inputs and outputs with a scale for each feature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.loihi.netlist import spike_io
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Constant, InvalidGraph, Tensor, parse, show, verify
from qcompiler.ir.execution.evaluate import evaluate
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.coding import Rescaling, digit_of, encode
from qcompiler.passes.calibration.feature_ranges import LEVELS, feature_ranges
from qcompiler.passes.folding.rescaling import rescale_input, rescale_output
from qcompiler.passes.quantization.levels import coded_inputs
from qcompiler.passes.tensor.fold_linear import FoldLinear
from qcompiler.passes.tensor.standardize import Standardize
from tests.support.onnx_models import model, run_onnx

Array = np.ndarray[Any, Any]

# Inputs, hidden values and outputs are rounded to 64 levels over about 6.5 standard deviations:
# 6.5 / 63 / sqrt(12) = 0.03 each, and as much for weights of 8 bits.
FOUR_ROUNDINGS = 0.03 * 4

UNIT = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


def singles(numbers: Any) -> Array:
    """Numbers in single precision."""
    return np.asarray(numbers, np.float32)


VOTES = singles([[1, -1, 0, 1], [0, 1, -1, -1], [1, 0, 1, -1]])  # each class wins now and then
CENTRE, SPREAD = singles([2010, 0.2, 101325]), singles([8, 0.05, 900])
FEATURES = CENTRE + SPREAD * UNIT


def mlp(before: str = "n = Sub(x, centre) h = Div(n, spread)", outputs: int = 3) -> Any:
    body = f"{before} a = Gemm(h, V, b) r = Relu(a) y = Gemm(r, W, c)"
    return model(
        "float[N,3] x",
        body,
        centre=CENTRE,
        spread=SPREAD,
        V=(3, 16),
        b=(16,),
        W=(16, outputs),
        c=(outputs,),
    )


def errors(found: Any, exact: Array) -> Array:
    """Root mean square error of every output element, by its own spread."""
    result: Array = np.sqrt(np.mean((found - exact) ** 2, axis=0)) / exact.std(axis=0)
    return result


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("effort", [0, 1])
def test_features_of_unlike_scale_get_codes_of_their_own(target: str, effort: int) -> None:
    proto = mlp()
    program = qcompiler.compile(proto, target=target, calibration=FEATURES, t_max=64, effort=effort)
    (exact,) = run_onnx(proto, {"x": FEATURES})
    assert errors(program.run(FEATURES), exact).max() < FOUR_ROUNDINGS
    some = FEATURES[:10]
    np.testing.assert_array_equal(program.run(some), program.run(some, engine="steps"))


def test_outputs_of_unlike_scale_get_codes_of_their_own(tmp_path: Path) -> None:
    scale, shift = singles([1000, 1, 1e-3]), singles([5000, -3, 0])
    proto = model(
        "float[N,3] x",
        "a = Gemm(x, V) r = Relu(a) l = Gemm(r, W) m = Mul(l, scale) y = Add(m, shift)",
        V=(3, 16),
        W=(16, 3),
        scale=scale,
        shift=shift,
    )
    program = qcompiler.compile(proto, target="loihi", calibration=UNIT, t_max=64)
    (exact,) = run_onnx(proto, {"x": UNIT})
    found = program.run(UNIT)
    assert errors(found, exact).max() < FOUR_ROUNDINGS
    assert program.graph.output_names == ("y",)
    program.save(tmp_path / "p")
    np.testing.assert_array_equal(qcompiler.load(tmp_path / "p").run(UNIT), found)


def test_exported_module_encodes_raw_numbers(tmp_path: Path) -> None:
    program = qcompiler.compile(mlp(), target="loihi", calibration=FEATURES, t_max=8)
    encoders = [node for node in program.graph.nodes if isinstance(node.op, Encode)]
    sources = build_netlist(program.graph).sources
    assert len(encoders) == len(sources) == 2  # digits
    for node, source in zip(encoders, sources, strict=True):
        assert isinstance(node.op, Encode)
        levels = encode(node.op.code, FEATURES, Rescaling.of(node))
        expected = digit_of(node.op, levels)
        np.testing.assert_array_equal(spike_io.encode_levels(source, FEATURES), expected)
    program.save(tmp_path / "p")
    text = (tmp_path / "p" / "network.py").read_text(encoding="utf-8")
    assert "offset='#x:standard:offset', factor='#x:standard:factor'" in text


def test_like_features_stay_together() -> None:
    graph = FoldLinear()(import_model(mlp("h = Identity(x)")).graph)
    assert Standardize(calibration=(UNIT,))(graph) is graph


def test_like_features_that_nearly_cancel_get_more_levels() -> None:
    """Outputs are small differences of large inputs: at 64 levels nothing else matters."""
    proto = model("float[N,2] x", "y = Gemm(x, W)", W=singles([[1, 2], [-1, -2.1]]))
    x = 10 * UNIT[:, :1] + singles(0.5) * UNIT[:, 1:]
    graph = FoldLinear()(import_model(proto).graph)
    (value,) = coded_inputs(Standardize(calibration=(x,))(graph))
    assert isinstance(value.type, Tensor) and value.type.t_max == 1024


def test_without_data_nothing_changes() -> None:
    graph = FoldLinear()(import_model(mlp()).graph)
    assert Standardize()(graph) is graph


def test_scores_share_a_scale_unless_they_differ_much() -> None:
    body = "a = Gemm(x, V) l = Mul(a, scale) y = Identity(l)"
    for ratio, changes in ((3, False), (30, True)):
        scale = singles([1, 1 / ratio, 1, 1])
        graph = FoldLinear()(import_model(model("float[N,3] x", body, V=VOTES, scale=scale)).graph)
        found = Standardize(calibration=(UNIT,))(graph)
        assert (found is not graph) == changes


@pytest.mark.parametrize(
    ("inputs", "body", "weights"),
    [
        ("float[N,3] x", "y = Gemm(x, W)", {"W": (3, 4)}),
        ("float[N,3] x", "a = Gemm(x, W) y = Relu(a)", {"W": (3, 4)}),
        ("float[N,3,5,5] x", "y = Conv<pads=[1,1,1,1]>(x, W)", {"W": (4, 3, 3, 3)}),
        ("float[N,3,4] x", "t = Flatten(x) y = Gemm(t, W)", {"W": (12, 2)}),
        ("float[N,3] x", "a = Relu(x) y = Gemm(a, W)", {"W": (3, 4)}),
    ],
)
def test_rescaling_keeps_the_function(inputs: str, body: str, weights: dict[str, Any]) -> None:
    graph = FoldLinear()(import_model(model(inputs, body, **weights)).graph)
    (value,) = graph.inputs
    shape = value.type.shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, *shape)).astype(np.float32)
    feature = (shape[0], *(1,) * len(shape[1:]))
    given = Rescaling(*singles(rng.uniform(0.5, 2, (2, *feature))))
    changed = rescale_input(graph, value, given)
    (output,) = changed.outputs
    rank = len(output.type.shape)
    last = Rescaling(*singles(rng.uniform(0.5, 2, (2, output.type.shape[0], *(1,) * (rank - 1)))))
    if "Relu" in body:
        last = Rescaling(np.zeros_like(last.offset), last.factor)
    changed = rescale_output(changed, output, last)
    folded = FoldLinear()(changed)
    verify(folded)
    assert parse(show(folded), {c.name: c.data for c in folded.constants}, "text") == folded
    for made in (changed, folded):
        (found,), (exact,) = evaluate(made, x), evaluate(graph, x)
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)
    assert folded.output_names == graph.output_names


def test_integers_get_a_whole_number_of_levels() -> None:
    data = np.array([[0, 17], [1, 42], [0, 20]], np.float32)
    ranges = feature_ranges(data, (0,))
    levels = (data - ranges.low) / ranges.width * (LEVELS - 1)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-5)


def test_constant_features_keep_their_value() -> None:
    data = np.stack([np.linspace(0, 1, 9), np.full(9, 273.15), np.zeros(9)], axis=1)
    ranges = feature_ranges(data.astype(np.float32), (0,))
    np.testing.assert_allclose(ranges.low[1:], [273.15, 0], rtol=1e-6)
    assert ranges.width.min() > 0


def test_rescaling_that_does_not_fit_is_refused() -> None:
    lines = (
        "graph @g(%x: f32[3]) {{",
        "  const #o: f32[{0}] = {1}",
        "  %y: f32[3] = ann.rescale(%x, #o, #o)",
        "  return %y",
        "}}",
    )
    text = "\n".join(lines)
    arrays = {"o": np.ones(2, np.float32)}
    digest = Constant("o", arrays["o"]).digest
    with pytest.raises((InvalidGraph, ValueError), match="broadcast"):
        verify(parse(text.format(2, digest), arrays, "g"))


def test_every_reader_of_an_input_takes_its_inverse() -> None:
    body = "a = Gather<axis=1>(x, left) b = Gather<axis=1>(x, right) s = Mul(a, m) t = Mul(b, n)"
    body += " c = Concat<axis=1>(s, t) r = Gemm(c, V) y = Relu(r)"
    places: dict[str, Any] = {"left": np.array([2, 0]), "right": np.array([1])}
    scales: dict[str, Any] = {"m": singles([1e-3]), "n": singles([10])}
    proto = model("float[N,3] x", body, V=(3, 5), **places, **scales)
    graph = FoldLinear()(import_model(proto).graph)
    found = Standardize(calibration=(FEATURES,))(graph)
    assert found is not graph
    np.testing.assert_allclose(evaluate(found, FEATURES)[0], evaluate(graph, FEATURES)[0], 1e-2)


def test_columns_of_heavy_tails_get_more_levels() -> None:
    rng = np.random.default_rng(4)
    tails = singles(np.exp(rng.normal(0, 1.5, (500, 3))) * SPREAD)
    body = "h = Div(x, spread) a = Gemm(h, V) r = Relu(a) y = Gemm(r, W)"
    proto = model("float[N,3] x", body, spread=SPREAD, V=(3, 16), W=(16, 2))
    program = qcompiler.compile(proto, target="reference", calibration=tails, t_max=64)
    digits = [node for node in program.graph.nodes if isinstance(node.op, Encode)]
    levels = {node.op.t_max**node.op.digits for node in digits if isinstance(node.op, Encode)}
    assert levels in ({7**3}, {11**3})  # at least 256 or 1024, as three digits
    (exact,) = run_onnx(proto, {"x": tails})
    assert errors(program.run(tails), exact).max() < FOUR_ROUNDINGS


def test_rare_pixels_of_large_weights_get_a_scale() -> None:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 17, (400, 8)).astype(np.float32)
    pixels[:, 5:] = rng.random((400, 3)) < 0.02  # nearly always 0
    even = np.tile(rng.standard_normal(12), (8, 1))
    uneven = rng.standard_normal((8, 12)) / np.maximum(pixels.std(axis=0), 0.05)[:, None]
    for weights, changes in ((even, False), (uneven, True)):
        proto = model("float[N,8] x", "a = Gemm(x, V) y = Relu(a)", V=singles(weights))
        graph = Standardize(calibration=(pixels,))(FoldLinear()(import_model(proto).graph))
        assert ("x:standard" in {node.result.name for node in graph.nodes}) == changes


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_no_feature_is_divided_by_a_width_beyond_single_precision() -> None:
    body = "h = MatMul(x, V) r = Relu(h) y = MatMul(r, W)"
    graph = import_model(model("float[N,3] x", body, V=(3, 8), W=(8, 3))).graph
    tiny = (UNIT * 1e-40).astype(np.float32)
    assert show(Standardize(calibration=(tiny,))(graph)) == show(graph)


@pytest.mark.parametrize("target", ["loihi", "reference"])
@pytest.mark.parametrize(("bias", "size"), [(1e-4, 1), (20, 20)])  # 1e5 and 20 times narrower
def test_rows_of_padding_that_see_a_bias_alone_fit_membranes(
    target: str, bias: float, size: float
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3, 4, 5)).astype(np.float32)
    w, b = singles(size * rng.normal(size=(3, 3, 1, 1))), singles([bias, -bias / 2, bias / 3])
    body = "a = Conv(x, v) y = Conv<kernel_shape = [1, 1], pads = [1, 1, 1, 1]>(a, w, b)"
    proto = model("float[N,3,4,5] x", body, v=(3, 3, 1, 1), w=w, b=b)
    program = qcompiler.compile(proto, target=target, calibration=x, t_max=64)
    found, (exact,) = np.asarray(program.run(x)), run_onnx(proto, {"x": x})
    inner = np.s_[:, :, 1:-1, 1:-1]
    assert np.std(found[inner] - exact[inner]) < FOUR_ROUNDINGS * exact[inner].std()
    width = float(np.ptp(exact)) / 64
    np.testing.assert_allclose(found[:, :, 0], exact[:, :, 0], atol=2 * max(width, 2 * bias) / 255)
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))


def test_features_of_a_product_that_are_narrower_than_its_levels() -> None:
    body = "a = Gemm(x, W, b) h = Sigmoid(a) y = Mul(h, g)"
    proto = model("float[N,4] x, float[N,3] g", body, W=(4, 3), b=singles([0, -14, 0.5]))
    rng = np.random.default_rng(1)
    batch = {"x": singles(rng.uniform(-1, 1, (60, 4))), "g": singles(rng.uniform(0, 1, (60, 3)))}
    (wanted,) = run_onnx(proto, batch)
    program = qcompiler.compile(
        proto, target="reference", calibration=batch, t_max=64, allow_products=True
    )
    error = np.sqrt(np.mean((np.asarray(program.run(batch)) - wanted) ** 2, axis=0))
    assert (error < 0.05 * wanted.std(axis=0).max()).all()
