"""Ranges that do not contain zero, bounds that data never reach, and constant parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileWarning, Spikes, Tensor, UnsupportedModel
from qcompiler.ir.ann import Clip
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.quantization.coarser_codes import widened
from qcompiler.passes.quantization.level_codes import code_of
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import compiled

# Rounding numbers of a normal distribution to 64 levels over their range, about 6.5 standard
# deviations, has an error of 6.5 / 63 / sqrt(12) = 0.03; inputs, hidden values and outputs are
# rounded.
THREE_ROUNDINGS = 0.03 * 3

X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
MATRIX = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)


def errors(found: Any, exact: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Root mean square error of every output element, by the spread of all."""
    result: np.ndarray[Any, Any] = np.sqrt(np.mean((found - exact) ** 2, axis=0)) / exact.std()
    return result


def network(body: str, **numbers: float) -> onnx.ModelProto:
    arrays: dict[str, Any] = {name: np.float32(number) for name, number in numbers.items()}
    body = f"h = Gemm(x, W) {body}"
    return model("float[N,4] x", body, W=MATRIX, **arrays)


CASES = {
    "min": network("y = Min(h, a)", a=-0.5),
    "clip_below_zero": network("y = Clip(h, a, b)", a=-2.0, b=-1.0),
    "bounds_in_reverse": network("k = Clip(h, a, b) y = Add(k, x)", a=2.0, b=1.0),
    "wide_bounds": network("y = Clip(h, a, b)", a=-1000.0, b=1000.0),
    "wide_bounds_inside": network("k = Clip(h, a, b) y = Gemm(k, W)", a=-10.0, b=10.0),
    "offset": network("y = Add(h, a)", a=300.0),
    "negative_offset": network("r = Relu(h) y = Add(r, a)", a=-1000.0),
    "function_with_offset": network("s = Sigmoid(h) y = Add(s, a)", a=1000.0),
    "crossed": network("k = Min(h, a) m = Max(k, b) y = Add(m, x)", a=0.5, b=1.5),
    "far_inside": network("k = Add(h, a) r = Relu(k) y = Sub(r, a)", a=50.0),
}


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("name", CASES)
def test_outputs_are_as_exact_as_their_levels(name: str, target: str) -> None:
    program = qcompiler.compile(CASES[name], target=target, calibration=X, t_max=64)
    (exact,) = run_onnx(CASES[name], {"x": X})
    assert errors(program.run(X), exact).max() < THREE_ROUNDINGS
    some = X[:10]
    np.testing.assert_array_equal(program.run(some), program.run(some, engine="steps"))


def test_a_gate_near_one_keeps_its_constant_part() -> None:
    body = "s = Sigmoid(x) m = Mul(s, c) g = Add(m, one) y = Mul(r, g)"
    gate = model("float[N,4] x, float[N,4] r", body, c=np.float32(-0.01), one=np.float32(1))
    data = {"x": X, "r": 1 + X[::-1]}
    program = qcompiler.compile(
        gate, target="reference", calibration=data, t_max=64, allow_products=True
    )
    (exact,) = run_onnx(gate, data)
    assert errors(program.run(*data.values()), exact).max() < THREE_ROUNDINGS


@pytest.mark.parametrize("effort", [0, 1])
@pytest.mark.parametrize(("low", "width"), [(1000, 1), (-1e5, 100), (0.4995, 1e-4), (273, 30)])
def test_inputs_and_outputs_far_from_zero(low: float, width: float, effort: int) -> None:
    x = (low + width * np.random.default_rng(0).random((200, 3))).astype(np.float32)
    same = model("float[N,3] x", "y = Mul(x, c)", c=np.ones(3, np.float32))
    program = qcompiler.compile(same, target="reference", calibration=x, t_max=64, effort=effort)
    assert errors(program.run(x), x).max() < THREE_ROUNDINGS


@pytest.mark.parametrize(
    ("data", "bounds", "expected"),
    [
        ((-1.0, 3.0), (None, None), (-1.0, 3.0)),
        ((1.0, 3.0), (None, None), (0.0, 3.0)),  # zero is near
        ((10.0, 11.0), (None, None), (10.0, 11.0)),
        ((-3.0, -1.0), (None, None), (-3.0, 0.0)),
        ((-3.0, -1.0), (None, -1.0), (-3.0, -1.0)),  # no value lies above a bound
        ((0.0, 2.0), (0.0, None), (0.0, 2.0)),
        ((-1.0, 2.0), (-10.0, 10.0), (-1.0, 2.0)),
    ],
)
def test_range_of_evenly_spread_values(
    data: tuple[float, float],
    bounds: tuple[float | None, float | None],
    expected: tuple[float, float],
) -> None:
    histogram = Histogram()
    for part in np.split(np.linspace(*data, 1000), 4):
        histogram.add(part)
    found = histogram.least_squares(16, *bounds)
    # candidates are a 16th apart, and the error of cutting off a step's share is that of rounding
    np.testing.assert_allclose(found, expected, atol=2 * (expected[1] - expected[0]) / 16)
    if bounds[1] is not None:
        assert found[1] <= bounds[1]


@pytest.mark.parametrize("levels", [8, 16, 64, 256])
def test_ends_where_values_gather_are_levels(levels: int) -> None:
    """Behind a Tanh most values are -1 or 1; between the levels, both would be half a level off."""
    values = np.tanh(np.random.default_rng(0).normal(scale=20, size=2000))
    histogram = Histogram()
    histogram.add(values)
    low, high = histogram.least_squares(levels)
    code = code_of((), levels, (low, high))
    ends = np.array([-1, 0, 1]) / code.scale
    np.testing.assert_allclose(ends, np.rint(ends), atol=1e-3)
    assert code.scale <= 2 / (levels - 2) * 1.001
    gaussian = Histogram()
    gaussian.add(np.random.default_rng(0).normal(size=2000))
    assert gaussian.least_squares(levels, reaches=False)[1] <= gaussian.high


@pytest.mark.parametrize(("low", "inside"), [(0.2, True), (0.6, False)])
def test_outputs_have_zero_in_their_range_where_that_costs_little(low: float, inside: bool) -> None:
    """The host needs no level that is zero. What layers read has one unless that doubles it."""
    x = np.linspace(low, 2.0, 500, dtype=np.float32)[:, None]
    proto = model(
        "float[N,1] x", "h = MatMul(x, w) y = MatMul(h, w)", w=np.eye(1, dtype=np.float32)
    )
    graph = compiled(import_model(proto).graph, "normalize", calibration=(x,), t_max=64)
    (hidden, output) = (node.result.type for node in graph.nodes)
    for type_, expected in ((hidden, True), (output, inside)):
        assert isinstance(type_, Tensor) and type_.range is not None
        assert (type_.range[0] <= 0) == expected


def test_far_ranges_are_snapped_by_their_width() -> None:
    low, high = snapped_range((0.49957, 0.50007))
    np.testing.assert_allclose((low, high), (0.49957, 0.50007), atol=0.0005 / 512)
    assert snapped_range((1000.0, 1000.0)) == (1000.0, 1000.0)


@pytest.mark.parametrize("value", [0.0, 0.003, -0.003, 5.0, -1000.0, 1e-8])
@pytest.mark.parametrize("highest", [None, "value"])
def test_a_single_value_is_a_level(value: float, highest: str | None) -> None:
    code = code_of((), 16, (value, value), value if highest else None)
    level = code.top if highest else 0
    assert code.scale * (level - code.zero) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (Clip(), (5.0, 35.0)),
        (Clip(0.0), (5.0, 35.0)),
        (Clip(10.0), (10.0, 40.0)),
        (Clip(None, 25.0), (-5.0, 25.0)),
    ],
)
def test_widened_ranges_keep_to_bounds(clip: Clip, expected: Sequence[float]) -> None:
    code = code_of((), 16, (12.5, 27.5))
    if clip != Clip() and clip != Clip(0.0):
        code = code_of((), 16, (10.0, 25.0))
    wide = widened(code, clip)
    assert isinstance(wide, Spikes) and wide.scale == 2 * code.scale
    low, high = (wide.scale * (level - wide.zero) for level in (0, wide.top))
    np.testing.assert_allclose((low, high), expected, atol=wide.scale / 2)


def test_a_range_between_two_reached_bounds_cannot_widen() -> None:
    assert widened(code_of((), 16, (0.0, 6.0)), Clip(0.0, 6.0)) is None


def test_a_dead_layer_compiles_whatever_its_weights() -> None:
    proto = model(
        "float[N,4] x",
        "h = Gemm(x, W) d = Sub(h, a) r = Relu(d) k = Gemm(r, V) y = Add(k, x)",
        W=1e4 * MATRIX,
        V=1e-3 * MATRIX,
        a=np.float32(1e6),
    )
    program = qcompiler.compile(proto, target="loihi", calibration=X, t_max=64)
    assert errors(program.run(X), X).max() < THREE_ROUNDINGS


def test_what_a_product_multiplies_loses_its_tail() -> None:
    """As other values do: few of its levels would be left for most of it."""
    rng = np.random.default_rng(0)
    x = rng.standard_t(2, size=(4000, 4)).astype(np.float32)
    z = rng.normal(size=(4000, 4)).astype(np.float32)
    proto = model(
        "float[N,4] x, float[N,4] z", "a = Relu(x) s = HardSigmoid(z) p = Mul(a, s) y = Sub(p, z)"
    )
    graph = import_model(proto, allow_products=True).graph
    found = compiled(graph, "fold-linear,normalize", calibration=(x, z), t_max=16)
    (high,) = (
        node.result.type.range[1]
        for node in found.nodes
        if node.result.name == "a"
        and isinstance(node.result.type, Tensor)
        and node.result.type.range
    )
    assert high < 0.75 * x.max()


@pytest.mark.parametrize("number", [0.1, -0.7, 3.3, 255.0])
def test_a_percentile_of_constant_data_gives_programs_that_load(
    number: float, tmp_path: Path
) -> None:
    with pytest.warns(CompileWarning, match="same for all"):
        program = qcompiler.compile(
            network("y = Relu(h)"),
            calibration=np.full((40, 4), number, np.float32),
            percentile=99,
            target="reference",
        )
    program.save(tmp_path / "p")
    np.testing.assert_array_equal(qcompiler.load(tmp_path / "p").run(X), program.run(X))


def test_a_percentile_cuts_what_lies_far_off() -> None:
    """One number in 8,000, which the ranges of the features reached for."""
    data = np.random.default_rng(1).normal(size=(2000, 4)).astype(np.float32)
    data[0, 0] = 1e5
    given: dict[str, Any] = {"calibration": data, "target": "reference"}
    with pytest.raises(UnsupportedModel, match=r"percentile=99\.9"):
        qcompiler.compile(network("y = Relu(h)"), **given)
    with pytest.warns(CompileWarning, match="of its spread"):  # which the outlier decides
        program = qcompiler.compile(network("y = Relu(h)"), percentile=99, **given)
    exact = run_onnx(network("y = Relu(h)"), {"x": data[1:]})[0]
    assert errors(program.run(data[1:]), exact).max() < 0.25


def test_data_far_from_zero_are_named() -> None:
    proto = model("float[N,3] time", "y = Relu(time)")
    far = 1.7e9 + 100 * np.random.default_rng(0).random((50, 3))
    with pytest.raises(UnsupportedModel, match="of input time is too far from zero") as caught:
        qcompiler.compile(proto, calibration=far, target="reference")
    assert "to 1700000" in str(caught.value) and "subtract an offset" in str(caught.value)
