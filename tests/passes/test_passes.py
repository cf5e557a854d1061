"""Passes keep the numbers, and do what they promise."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcompiler.cli.compiling import qcompile
from qcompiler.ir import Builder, Constant, Graph, Tensor, UnsupportedModel, ann, evaluate, show
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.passes import Pipeline
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.rounding_errors import RoundingErrors
from tests.support.random_networks import PHASES, Random, compiled, random_batch, random_network

seeds = st.integers(0, 2**32 - 1)


def close(before: Graph, after: Graph, seed: int) -> None:
    """Both graphs compute the same, up to the rounding of float32 sums."""
    batch = random_batch(before, seed)
    (expected,), (found,) = evaluate(before, batch), evaluate(after, batch)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=2e-4 * scale)


@pytest.mark.parametrize("branches", [False, True])
@given(seed=seeds)
@settings(max_examples=80, phases=PHASES)
def test_folding_keeps_the_numbers(branches: bool, seed: int) -> None:
    graph = random_network(seed, 6, branches)
    text = show(graph)
    folded = compiled(graph, "fold-batchnorm")
    assert not list(NO_BATCHNORM.check(folded))
    close(graph, folded, seed)
    close(graph, compiled(folded, "fold-linear"), seed)
    assert show(graph) == text


@pytest.mark.parametrize("branches", [False, True])
@given(seed=seeds)
@settings(max_examples=30, phases=PHASES)
def test_folding_twice_changes_nothing(branches: bool, seed: int) -> None:
    pipeline = Pipeline.parse("fold-batchnorm,fold-linear")
    once = pipeline.run(random_network(seed, 6, branches))
    assert show(pipeline.run(once)) == show(once)


@given(seed=seeds)
@settings(max_examples=20, phases=PHASES)
def test_a_pipeline_is_deterministic(seed: int) -> None:
    graph = random_network(seed, depth=3)
    batch = random_batch(graph, seed)
    try:
        texts = {show(compiled(graph, calibration=(batch,), t_max=8)) for _ in range(2)}
    except UnsupportedModel:
        return
    assert len(texts) == 1


@pytest.mark.parametrize("branches", [False, True])
@given(seed=seeds)
@settings(max_examples=40, phases=PHASES)
def test_intervals_contain_all_values(branches: bool, seed: int) -> None:
    graph = compiled(
        random_network(seed, branches=branches), "fold-batchnorm,normalize{low=-1 high=1}"
    )
    batch = np.clip(random_batch(graph, seed), -1, 1)
    known = {graph.inputs[0].name: batch}
    from qcompiler.ir import Value
    from qcompiler.ir.execution.evaluate import apply

    for node in graph.nodes:
        arrays = [known[o.name] if isinstance(o, Value) else o.data for o in node.operands]
        known[node.result.name] = apply(node.op, *arrays)
        assert isinstance(node.result.type, Tensor)
        low, high = node.result.type.range or (np.inf, -np.inf)
        slack = 1e-3 * max(1.0, high - low)
        assert known[node.result.name].min() >= low - slack
        assert known[node.result.name].max() <= high + slack


def test_average_pool_behind_nothing_becomes_a_population() -> None:
    random = Random(3)
    value = random.builder.input("input", Tensor((2, 6, 6)))
    graph = random.builder.build([random.average(value)])
    batch = random_batch(graph, 2)
    spiking = compiled(graph, calibration=(batch,), t_max=32)
    assert any(node.op.mnemonic == "snn.population" for node in spiking.nodes)


def test_a_weight_beyond_its_bits_is_refused_with_its_node() -> None:
    build = Builder("steep")
    value = build.input("input", Tensor((2,)))
    weight = Constant("w", np.array([[1000.0, -1000.0]], np.float32))
    value = build.add(
        ann.Dense(),
        value,
        weight,
        Constant("b", np.zeros(1, np.float32)),
        name="y",
        origin=("Gemm_7",),
    )
    same = np.repeat(np.linspace(0, 1, 9, dtype=np.float32)[:, None], 2, axis=1)
    same[0, 0] += 1e-4
    with pytest.raises(UnsupportedModel, match="levels") as caught:
        compiled(build.build([value]), calibration=(same,), t_max=4)
    assert caught.value.diagnostics[0].nodes == ("Gemm_7",)


def test_histogram_finds_the_range_of_least_error() -> None:
    histogram = Histogram()
    values = np.random.default_rng(0).exponential(1, 20000)
    for part in np.split(values, 20):
        histogram.add(part)
    low, high = histogram.least_squares(8, 0.0)
    errors = {}
    for top in np.linspace(1, values.max(), 200):
        step = top / 7
        errors[top] = ((np.clip(np.rint(values / step), 0, 7) * step - values) ** 2).mean()
    assert low == 0
    step = high / 7
    error = ((np.clip(np.rint(values / step), 0, 7) * step - values) ** 2).mean()
    assert error <= 1.02 * min(errors.values())


@pytest.mark.parametrize("levels", [2, 8, 64, 1000])
@pytest.mark.parametrize("low", [None, 0.0])
def test_ranges_that_are_left_out_are_not_least(
    low: float | None, levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those that are found if every range is tried."""
    rng = np.random.default_rng(levels)
    histograms = []
    for scale, shift in itertools.product((1e-9, 1, 1e9), (0, 3, 1e4)):
        for values in (rng.normal(size=4000), rng.standard_t(2, 4000), rng.random(99)):
            histograms.append(Histogram())
            histograms[-1].add(((values + shift) * scale).astype(np.float32))
    found = [histogram.least_squares(levels, low) for histogram in histograms]
    monkeypatch.setattr(RoundingErrors, "least", RoundingErrors.of)
    assert found == [histogram.least_squares(levels, low) for histogram in histograms]


def test_percentile_cuts_tails() -> None:
    histogram = Histogram()
    histogram.add(np.linspace(0, 1, 10001))
    assert histogram.percentile(100)[1] == pytest.approx(1, abs=1e-3)
    assert histogram.percentile(90)[1] == pytest.approx(0.9, abs=2e-3)


DIGITS = Path(__file__).parents[2] / "examples" / "digits"
COMMAND = f"{DIGITS}/digits.onnx --calibration {DIGITS}/digits_calibration.npz --scale-values 16"


OPTIONS = {
    "equalize": ("t_max",),
    "split-inputs": ("t_max", "levels"),
    "split-ranges": ("t_max",),
    "normalize": ("t_max", "output_t_max"),
    "lower-activations": ("t_max", "output_t_max"),
    "quantize": ("t_max", "output_t_max"),
}


@pytest.mark.parametrize("number", [1, 0, -3, 5000, 70000])
@pytest.mark.parametrize(("name", "option"), [(n, o) for n in OPTIONS for o in OPTIONS[n]])
def test_any_number_of_levels_works_or_is_refused(
    name: str, option: str, number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, no division by zero, and no warning, which would be an error here."""
    steps = (
        "split-inputs,equalize,split-ranges,normalize,lower-activations,quantize,assign-windows,"
        "insert-readout"
    )
    steps = steps.replace(name, f"{name}{{{option}={number}}}")
    passes = f"fold-batchnorm,fold-linear,{steps}"
    line = f"{COMMAND} --target reference -q -o {tmp_path / 'out'} --passes {passes}"
    status = qcompile.main(line.split())
    _, err = capsys.readouterr()
    most = 1024 if option == "t_max" else 65536
    if 2 <= number <= most or (number == 0 and option != "t_max"):
        assert status == 0 or err.startswith("error: one input level changes an output by")
    else:
        assert status == 1 and f"{option} must be" in err and f"2 and {most}, not {number}" in err
