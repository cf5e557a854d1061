"""Repairing accuracy on calibration data: each piece, and that it pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Builder, Constant, DataError, Graph, PipelineError, Tensor, evaluate, show
from qcompiler.ir.ann import Clip, Conv, Dense
from qcompiler.ir.kernels import Array, convolve
from qcompiler.ir.snn import Connect, Convolve
from qcompiler.ir.spiking.coding import decode, encode
from qcompiler.ir.spiking.integer_network import layers, weight_of
from qcompiler.passes.calibration.data import run
from qcompiler.passes.calibration.trace import Trace, images_for
from qcompiler.passes.fitting import joined_weights
from qcompiler.passes.fitting.fit_layer import fit_layer
from qcompiler.passes.fitting.integer_fit import IntegerFit
from qcompiler.passes.fitting.layer_inputs import SharedInputs
from qcompiler.passes.fitting.residuals import Residuals
from qcompiler.passes.fitting.samples import sample_positions
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.level_codes import code_of
from qcompiler.passes.quantization.real_layer import LinearSynapse, RealLayer, real_layer_of
from qcompiler.passes.tensor.equalize import relative_scales, scale_channels
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import PHASES, compiled, random_batch, random_network

EQUAL = "fold-batchnorm,fold-linear,equalize{effort=1}"
NORMAL = f"{EQUAL},normalize"


def network(seed: int = 0, sparse: bool = False) -> Graph:
    """Two convolutions and a dense layer; channels differ widely in size."""
    rng, build = np.random.default_rng(seed), Builder("net")

    def constant(name: str, *shape: int, scale: float = 1.0) -> Constant:
        data = rng.standard_normal(shape) * scale
        if sparse and len(shape) > 1:
            data *= rng.random(shape) < 0.5
        if len(shape) == 4:
            data *= np.exp(rng.uniform(-2, 2, (shape[0], 1, 1, 1)))
        return Constant(name, data.astype(np.float32))

    value = build.input("x", Tensor((2, 8, 8)))
    for index, (inputs, outputs) in enumerate(((2, 8), (8, 8))):
        weight = constant(f"w{index}", outputs, inputs, 3, 3, scale=0.3)
        bias = constant(f"b{index}", outputs, 1, 1, scale=0.1)
        op = Conv((1, 1), (1, 1, 1, 1), (1, 1))
        value = build.add(op, value, weight, bias, name=f"conv{index}")
        value = build.add(Clip(0.0), value, name=f"relu{index}")
    dense = constant("wd", 10, 512, scale=0.05), constant("bd", 10)
    return build.build([build.add(Dense(), value, *dense, name="y")])


def images(count: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).random((count, 2, 8, 8), np.float32)


def error(graph: Graph, effort: int = 1, **options: object) -> float:
    """Squared error of the outputs on images that were not calibrated with, relative."""
    data = images(200)
    program = qcompiler.compile(
        graph,
        target="reference",
        calibration=data,
        effort=effort,
        **options,  # type: ignore[arg-type]
    )
    batch = images(100, 2)
    (real,), found = evaluate(graph, batch), program.run(batch)
    assert isinstance(found, np.ndarray)
    return float(((found - real) ** 2).sum() / ((real - real.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize("branches", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, phases=PHASES)
def test_equalising_keeps_the_numbers(branches: bool, seed: int) -> None:
    graph = compiled(random_network(seed, 6, branches), "fold-batchnorm,fold-linear")
    batch = random_batch(graph, seed)
    equal = compiled(graph, "equalize{effort=1}", calibration=(batch,), t_max=8)
    (expected,), (found,) = evaluate(graph, batch), evaluate(equal, batch)
    size = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=2e-4 * size)
    assert len(list(fusion_groups(equal))) == len(list(fusion_groups(graph)))


def spread(graph: Graph) -> float:
    """How much farther the first layer's largest channel reaches than its smallest."""
    node = next(node for node in graph.nodes if node.result.name == "relu0")
    cut = Graph("cut", graph.inputs, graph.nodes[: graph.nodes.index(node) + 1], (node.result,))
    highest = evaluate(cut, images(100))[0].max(axis=(0, 2, 3))
    return float(highest.max() / highest.min())


def test_equalised_channels_are_nearer_to_each_other() -> None:
    graph = network()
    equal = compiled(graph, EQUAL, calibration=(images(100),), t_max=16)
    assert spread(equal) < spread(graph) / 2


def test_scales_are_those_asked_for() -> None:
    graph = network()
    scales = np.array([1, 2, 4, 8, 1, 2, 4, 8], float)
    changed = scale_channels(graph, {"relu0": scales})
    before, after = (g.nodes[0].operands[1] for g in (graph, changed))
    assert isinstance(before, Constant) and isinstance(after, Constant)
    ratio = before.data / after.data
    np.testing.assert_allclose(ratio[:, 0, 0, 0], scales, rtol=1e-5)


def test_silent_channels_get_a_middling_scale_and_quiet_ones_a_small_one() -> None:
    tops = np.array([0.0, 1, 2, 2, 4, 1e-4])
    np.testing.assert_allclose(
        relative_scales(tops, np.ones(6), np.ones(6)), [1, 0.5, 1, 1, 2, 0.25]
    )


def test_large_weights_behind_quiet_channels_make_their_scales_smaller() -> None:
    tops, heavy = np.array([0.0, 1, 2, 2, 4, 1e-4]), np.array([8.0, 8, 1, 1, 8, 8])
    np.testing.assert_allclose(
        relative_scales(tops, heavy, np.ones(6)), [0.25, 0.5, 1, 1, 2, 0.0625]
    )
    steep = np.array([1.0, 1, 1, 1, 1, 64])  # 16 in front of the quietest is all that weights carry
    found = relative_scales(tops, heavy, steep)
    np.testing.assert_allclose(found[-1], 1 / np.median(steep / [0.25, 0.5, 1, 1, 2, 0.0625]))


@pytest.mark.parametrize("options", [{"effort": 0}, {"calibration": None, "effort": 1}])
def test_without_effort_or_data_nothing_is_repaired(options: dict[str, object]) -> None:
    given = {"calibration": (images(50),)} | options
    plain = compiled(network(), "fold-linear,normalize,quantize{effort=0}", **given)
    pipeline = "fold-batchnorm,fold-linear,equalize,normalize,quantize"
    assert show(compiled(network(), pipeline, **given)) == show(plain)


@pytest.mark.parametrize("t_max", [4, 8, 16])
def test_repair_reduces_the_error(t_max: int) -> None:
    graph = network()
    assert error(graph, t_max=t_max) < 0.8 * error(graph, t_max=t_max, effort=0)


@pytest.mark.parametrize("bits", [3, 8])
def test_integers_stay_within_their_bits_and_zeros_stay_zero(bits: int) -> None:
    graph = network(sparse=True)
    pipeline = f"{NORMAL},quantize{{weight_bits={bits}}}"
    spiking = compiled(graph, pipeline, calibration=(images(100),), t_max=8)
    real = [node.operands[1] for node in graph.nodes if isinstance(node.op, Conv | Dense)]
    for layer, weight in zip(layers(spiking), real, strict=True):
        assert isinstance(weight, Constant)
        (synapse,) = layer.synapses
        found = weight_of(synapse)
        assert np.abs(found).max() < 1 << (bits - 1)
        assert not found[weight.data == 0].any()


def test_a_fitted_layer_is_closer_to_the_real_one() -> None:
    graph, data = network(), 0.6 + 0.4 * images(40)
    ranged = compiled(graph, NORMAL, calibration=(data,), t_max=4)
    code = code_of((2, 8, 8), 4, (0.0, 1.0))
    trace, levels = Trace(ranged, (data,)), encode(code, data)
    group = next(fusion_groups(ranged))
    assert isinstance(group.result.type, Tensor) and group.result.type.range is not None
    behind = code_of(group.result.type.shape, 4, group.result.type.range)
    before, real = trace.before_clip(group), real_layer_of(group, [(code,)])
    fit = fit_layer(group, real, (code,), behind, [levels], before, SharedInputs())
    assert fit is not None

    def missed(layer: RealLayer) -> float:
        (branch,) = layer.branches
        assert isinstance(branch.synapse, Convolve)
        sums = convolve(decode(code, levels), branch.weight, branch.synapse, 1)
        clipped = np.maximum(sums + layer.bias, 0) - np.maximum(before, 0)
        return float((clipped**2).sum())

    assert missed(fit.refitted()) < missed(real)


def test_what_levels_cut_off_is_not_missing() -> None:
    target = np.array([[-2.0], [-2], [-2], [0.5], [3], [3], [3]])
    present = np.array([[-1.0], [0.25], [2], [0.25], [2], [0.5], [-1]])
    residuals = Residuals.of(present, target, low=0.0, high=1.0)
    missing = residuals.missing(np.zeros_like(present), np.zeros(1))
    np.testing.assert_array_equal(missing[:, 0], [0, -0.25, -1, 0.25, 0, 0.5, 1])


def test_a_bias_levels_what_is_left_behind_the_clip() -> None:
    """Noise that the clip rectifies shifts its results; the bias makes up for the mean."""
    rng = np.random.default_rng(0)
    target = rng.normal(-1, 1, (4000, 3))
    first, sums, bias = target + rng.normal(0, 0.5, target.shape), 0 * target, np.zeros(3)
    residuals = Residuals.of(first, target, 0.0, 2.0)
    before = np.abs(residuals.missing(sums, bias).mean(axis=0))
    for _ in range(2):
        bias = bias + residuals.step(sums, bias)
    assert np.all(np.abs(residuals.missing(sums, bias).mean(axis=0)) < before / 10)


def test_layers_with_the_same_inputs_share_them() -> None:
    rng, code = np.random.default_rng(0), code_of((6,), 4, (0.0, 1.0))
    levels = [rng.integers(0, 4, (50, 6)) for _ in range(2)]
    layers = [LinearSynapse(Connect(), rng.random((n, 6)), np.zeros(1)) for n in (3, 5)]
    places, shared = sample_positions((1,), 50, 6, 100), SharedInputs()
    first = shared.of(layers[:1], [[(levels[0], code)]], places)
    assert shared.of(layers[1:], [[(levels[0], code)]], places) is first
    assert shared.of(layers[1:], [[(levels[1], code)]], places) is not first


@pytest.mark.parametrize("low", [0.0, -0.4])
@pytest.mark.parametrize("groups", [1, 2])
def test_rows_hold_what_neurons_receive(low: float, groups: int) -> None:
    """In blocks of rows that share images; level 0 is not the zero of padding if ``low`` is not."""
    rng, code = np.random.default_rng(0), code_of((4, 7, 7), 9, (low, 1.0))
    levels = [rng.integers(0, 9, (90, 4, 7, 7)).astype(np.uint8) for _ in range(2)]
    synapse = Convolve(strides=(1, 1), pads=(1, 1, 1, 1), dilations=(1, 1), groups=groups)
    weight = rng.standard_normal((6, 4 // groups, 3, 3))
    places = sample_positions((6, 7, 7), 90, 18, 1500)
    branch = LinearSynapse(synapse, weight, np.zeros(1))
    found = SharedInputs().of([branch], [[(each, code) for each in levels]], places)
    values = decode(code, levels[0]) + decode(code, levels[1])
    sums = convolve(values, weight, synapse, groups)
    blocks = weight.reshape(groups, 6 // groups, -1)
    np.testing.assert_allclose(found.sums(blocks), places.of(sums), atol=1e-5)


def test_images_are_as_many_as_work_and_memory_allow() -> None:
    graph = network()
    assert images_for(graph, 500, 1) == 500
    assert images_for(graph, 10**9, 1) < images_for(graph, 10**9, 2) < 10**9


def test_more_effort_fits_to_more_positions() -> None:
    def rows(images: int, most: int, effort: int) -> int:
        return len(sample_positions((16, 8, 8), images, 600, most, effort).image)

    assert rows(5000, 10**6, effort=2) == 4 * rows(5000, 10**6, effort=1)
    assert rows(10, 10**6, effort=2) == 10 * 8 * 8  # all that there are
    assert rows(5000, 100, effort=2) == 100


def test_repair_is_deterministic() -> None:
    pipeline = f"{NORMAL},quantize{{effort=1}}"
    texts = {show(compiled(network(), pipeline, calibration=(images(60),))) for _ in range(2)}
    assert len(texts) == 1


def test_a_layer_is_the_same_fitted_some_outputs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, data = f"{NORMAL},quantize{{effort=1}}", (images(60),)
    whole = show(compiled(network(), pipeline, calibration=data))
    monkeypatch.setattr(joined_weights, "_ENTRIES", 200)
    assert show(compiled(network(), pipeline, calibration=data)) == whole


def test_outputs_of_the_same_slope_keep_their_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found for other slopes does not depend on what was found for the last ones."""
    limits = "potential=600,input=600,proved=false"
    pipeline, data = f"{NORMAL},quantize{{effort=1,{limits}}}", (images(100),)
    changed, kept = IntegerFit._changed, list[bool]()

    def spied(fit: IntegerFit, grids: Any) -> Array:
        found = changed(fit, grids)
        kept.append(fit._last is not None and not found.all())
        return found

    monkeypatch.setattr(IntegerFit, "_changed", spied)
    whole = show(compiled(network(), pipeline, calibration=data))
    assert any(kept)
    monkeypatch.setattr(IntegerFit, "_changed", lambda fit, _: np.ones(fit._fit.all.outputs, bool))
    assert show(compiled(network(), pipeline, calibration=data)) == whole


def test_faults_are_named() -> None:
    with pytest.raises(PipelineError, match="effort must be 0, 1 or 2, not 3"):
        qcompiler.compile(network(), effort=3)
    with pytest.raises(DataError, match="but input x expects"):
        compiled(network(), "equalize{effort=1}", calibration=(images(4)[:, :1],))


def test_bounds_of_clips_follow_their_channels() -> None:
    """Levels 0 and T are the bounds of no channel but the loudest, whose scale is the largest."""
    rng = np.random.default_rng(1)
    scale = np.array([3, 0.3, 0.03, 1], np.float32)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    weights = rng.normal(size=(3, 4)).astype(np.float32) * scale
    readers = rng.normal(size=(4, 2)).astype(np.float32) / scale[:, None]
    body = "a = Gemm(x, V) l = Clip(a, low, high) y = Gemm(l, W)"
    low, high = np.float32(-0.1), np.float32(6)
    arrays: dict[str, Any] = {"V": weights, "W": readers, "low": low, "high": high}
    graph = import_model(model("float[N,3] x", body, **arrays)).graph
    equal = compiled(graph, EQUAL, calibration=(x,))
    clip = next(node for node in equal.nodes if isinstance(node.op, Clip))
    assert isinstance(clip.op, Clip) and clip.op.high is not None and clip.op.low is not None
    (times,) = clip.arrays
    assert times.min() == 1 and times.max() > 10
    assert clip.op.high / clip.op.low == pytest.approx(-60)
    (exact,) = evaluate(graph, x)
    np.testing.assert_allclose(evaluate(equal, x)[0], exact, atol=1e-5 * np.abs(exact).max())
    written = np.concatenate([part["y"] for part in run(equal, (x,), ["y"])])
    np.testing.assert_allclose(written, exact, atol=1e-5 * np.abs(exact).max())
    ranged = compiled(equal, "normalize{t_max=64}", calibration=(x,))
    type_ = next(node.result.type for node in ranged.nodes if isinstance(node.op, Clip))
    assert isinstance(type_, Tensor) and type_.range
    assert type_.range[1] <= clip.op.high, "what exceeds the tightest bound would not be clipped"


@pytest.mark.parametrize(
    "activation",
    ["Relu(a)", "Identity(a)", "LeakyRelu(a)", "PRelu(a, s)", "Abs(a)", "Add(a, a)"],
)
def test_channels_of_unlike_scale_are_equalized(activation: str) -> None:
    """The function is the same as with channels alike; the quietest get fewer levels, by a half."""
    rng = np.random.default_rng(1)
    one, other = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4, 2)))
    x = rng.normal(size=(300, 3)).astype(np.float32)
    body = f"a = Gemm(x, V) l = {activation} y = Gemm(l, W)"

    def error(*scales: float) -> Array:
        scale = np.array(scales, np.float32)
        arrays: dict[str, Any] = {
            "V": one * scale,
            "W": other / scale[:, None],
            "s": np.array([0.1, 0.2, 0.3, 1], np.float32),
        }
        proto = model("float[N,3] x", body, **arrays)
        program = qcompiler.compile(proto, target="loihi", calibration=x, t_max=64)
        (exact,) = run_onnx(proto, {"x": x})
        found: Array = np.sqrt(np.mean((program.run(x) - exact) ** 2, axis=0)) / exact.std(axis=0)
        return found

    assert (error(1, 100, 0.01, 10) < 2 * error(1, 1, 1, 1)).all()
