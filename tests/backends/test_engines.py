"""The engines agree, spike time for spike time, on every neuron of random networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qcompiler.backends.host import Counters, Outcome
from qcompiler.backends.reference.events.events_engine import EventsEngine
from qcompiler.backends.reference.fast.closed_form import ClosedForm
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import Builder, Constant, Graph, Tensor, UnsupportedModel, ann, evaluate
from qcompiler.ir.snn import Connect, Convolve, Decode, Encode, Neuron, Synapse
from tests.support.random_networks import (
    LOIHI,
    PHASES,
    REFERENCE,
    compiled,
    random_batch,
    random_network,
)
from tests.support.spiking import equal_neurons

seeds = st.integers(0, 2**32 - 1)
t_maxes = st.integers(2, 64)


def same(graph: Graph, batch: np.ndarray[Any, Any], fast: FastEngine | None = None) -> Counters:
    """Hold the engines to each other on every population; return the counters."""
    golden, fast = StepsEngine(graph)(batch, record=True), fast or FastEngine(graph)
    same_events(graph, batch, golden)
    recorded, bare = fast(batch, record=True), fast(batch, count=False)
    assert golden.levels.keys() == recorded.levels.keys()
    for name, levels in golden.levels.items():
        np.testing.assert_array_equal(levels, recorded.levels[name], err_msg=name)
    assert golden.counters == recorded.counters
    for one, other, third in zip(golden.outputs, recorded.outputs, bare.outputs, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    return golden.counters


def same_events(graph: Graph, batch: np.ndarray[Any, Any], golden: Outcome) -> None:
    """Hold the events engine to the outcome of the steps engine."""
    engine = EventsEngine(graph, StepsEngine(graph))
    assert engine.regular
    found = engine(batch, record=True)
    equal_neurons(golden.levels, found.levels)
    assert golden.counters == found.counters
    for one, other in zip(golden.outputs, found.outputs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pipeline", [pytest.param(REFERENCE, marks=pytest.mark.long), LOIHI])
@given(seed=seeds, t_max=t_maxes, output_t_max=t_maxes)
@settings(max_examples=60, phases=PHASES)
def test_engines_agree_on_random_networks(
    pipeline: str, seed: int, t_max: int, output_t_max: int
) -> None:
    graph = random_network(seed)
    batch = random_batch(graph, seed)
    options: dict[str, Any] = {"t_max": t_max, "output_t_max": output_t_max}
    try:
        spiking = compiled(graph, pipeline, calibration=(batch[:4],), **options)
    except UnsupportedModel:
        assume(False)
    counters = same(spiking, 2 * batch)  # beyond the calibrated range, too
    assert counters.frames == len(batch)


@pytest.mark.long
@given(seed=seeds, t_max=t_maxes, delay=st.integers(0, 80))
@settings(max_examples=40, phases=PHASES)
def test_engines_agree_on_branches(seed: int, t_max: int, delay: int) -> None:
    """Sums and concatenations; where synapses cannot delay enough, relays do."""
    graph = random_network(seed, branches=True)
    batch = random_batch(graph, seed)
    pipeline = LOIHI.replace("assign-windows", f"assign-windows{{delay={delay}}}")
    try:
        found = [
            compiled(graph, text, calibration=(batch[:4],), t_max=t_max)
            for text in (LOIHI, pipeline)
        ]
    except UnsupportedModel:
        assume(False)
    engines = [FastEngine(spiking) for spiking in found]
    for spiking, fast in zip(found, engines, strict=True):
        same(spiking, 2 * batch, fast)
    free, bound = (fast(batch, count=False).outputs[0] for fast in engines)
    np.testing.assert_array_equal(free, bound)
    delays = [node.op.delay for node in found[1].nodes if isinstance(node.op, Synapse)]
    assert max(delays) <= delay


@given(seed=seeds, t_max=st.integers(2, 32))
@example(seed=32, t_max=32)  # a padded branch becomes a population
@settings(max_examples=15, phases=PHASES)
def test_engines_agree_on_functions_and_products(seed: int, t_max: int) -> None:
    graph = random_network(seed, depth=3, branches=bool(seed % 3), functions=True)
    batch = random_batch(graph, seed)
    pipelines = (p.replace("normalize", "normalize,lower-activations") for p in (REFERENCE, LOIHI))
    try:
        found = [compiled(graph, p, calibration=(batch[:4],), t_max=t_max) for p in pipelines]
    except UnsupportedModel:
        assume(False)
    for spiking in found:
        same(spiking, 2 * batch)


@given(seed=seeds)
@settings(max_examples=20, phases=PHASES)
def test_engines_agree_without_calibration(seed: int) -> None:
    graph = random_network(seed, depth=3)
    try:
        spiking = compiled(graph, t_max=8, low=-1.0, high=1.0)
    except UnsupportedModel:
        assume(False)
    same(spiking, random_batch(graph, seed))


@given(seed=seeds)
@settings(max_examples=30, phases=PHASES)
def test_many_levels_come_close_to_the_tensor_level(seed: int) -> None:
    """With 1024 levels a tensor, rounding is what is left."""
    graph = random_network(seed, depth=2)
    batch = random_batch(graph, seed)
    try:
        spiking = compiled(
            graph,
            calibration=(batch,),
            method="percentile",
            percentile=100.0,
            t_max=1024,
            output_t_max=1024,
            weight_bits=16,
            potential=2**40,
        )
    except UnsupportedModel:
        assume(False)
    found, expected = StepsEngine(spiking)(batch).outputs[0], evaluate(graph, batch)[0]
    span = max(1e-3, float(np.ptp(expected)), float(np.abs(expected).max()))
    assert np.abs(found - expected).max() <= 0.05 * span


@pytest.mark.parametrize("t_max", [2, 3, 16, 64])
def test_integer_kernels_agree(t_max: int) -> None:
    """Wide layers take the 8-bit kernels of the fast engine."""
    rng = np.random.default_rng(t_max)
    build = Builder("wide")
    value = build.input("input", Tensor((32, 6, 6)))
    for index, width in enumerate((48, 32)):
        channels = value.type.shape[0]
        weight = rng.standard_normal((width, channels, 3, 3)) / np.sqrt(9 * channels)
        bias = Constant(f"b{index}", (rng.standard_normal((width, 1, 1)) / 4).astype(np.float32))
        op = ann.Conv((1, 1), (1,) * 4, (1, 1))
        kernel = Constant(f"w{index}", weight.astype(np.float32))
        value = build.add(op, value, kernel, bias, name=f"conv{index}")
        value = build.add(ann.Clip(0.0), value, name=f"relu{index}")
    value = build.add(ann.MaxPool((2, 2), (0,) * 4, (1, 1), (2, 2)), value, name="pool")
    weight = Constant("w", (rng.standard_normal((16, 288)) / 16).astype(np.float32))
    value = build.add(ann.Dense(), value, weight, Constant("b", np.zeros(16, np.float32)), name="y")
    graph = build.build([value])
    batch = rng.random((8, 32, 6, 6)).astype(np.float32)
    for pipeline in (REFERENCE, LOIHI):
        spiking = compiled(graph, pipeline, calibration=(batch[:4],), t_max=t_max)
        same(spiking, batch * 1.5)
        form = ClosedForm(spiking, record=False, count=False)
        kernels = {node.op_type for node in form.writer.nodes}
        assert "QLinearConv" in kernels


@pytest.mark.parametrize("t_max", [64, 300])
@pytest.mark.parametrize("slope", [997, 1024, 4001])
@pytest.mark.parametrize("width", [1, 2])
def test_quotients_next_to_an_integer_are_floored_exactly(
    width: int, slope: int, t_max: int
) -> None:
    """Large sums that cancel: rounded weights over D would cross the next integer.

    More levels than a byte has take float32; what sees all of its source is a product of matrices.
    """
    rng = np.random.default_rng(slope)
    build = Builder("edge")
    value = build.input("input", Tensor((1000, 1, width)))
    value = build.add(Encode(64, 1.0), value, name="spikes")
    signs = np.where(np.arange(1000) < 500, 1, -1)
    weights = (rng.integers(100, 128, (8, 1000)) * signs).astype(np.int16)
    matrix = Constant("W", weights.reshape(8, 1000, 1, 1))
    bias = Constant("B", rng.integers(0, slope, (8, 1, 1)).astype(np.int32))
    steep = Constant("D", np.full((8, 1, 1), slope, np.int32))
    current = build.add(Convolve((1, 1), (0,) * 4, (1, 1)), value, matrix, name="current")
    value = build.add(Neuron(t_max), current, bias, steep, name="neuron")
    graph = build.build([build.add(Decode(), value, name="levels")])
    graph = compiled(graph, "assign-windows,insert-readout")
    levels = rng.integers(0, 64, (4000, 1000))
    total = levels @ weights.T.astype(int) + bias.data.reshape(-1)
    edge = np.isin(total % slope, (0, slope - 1)) & (total > 0) & (total < t_max * slope)
    assert edge.sum() > 5
    batch = levels[edge.any(axis=1)].reshape(-1, 1000, 1, 1).astype(np.float32)
    batch = np.repeat(batch, width, axis=3)
    kernels = {n.op_type for n in ClosedForm(graph, False, False).writer.nodes}
    assert ({1: "QGemm", 2: "QLinearConv"}[width] in kernels) == (t_max == 64)
    same(graph, batch)


def one_layer(
    op: Convolve | Connect, shape: tuple[int, ...], t_max: int, **constants: np.ndarray[Any, Any]
) -> Graph:
    """An encoder and one population of given integers, with its readout."""
    build = Builder("layer")
    value = build.input("input", Tensor(shape))
    value = build.add(Encode(t_max, 1.0), value, name="spikes")
    weight, bias, slope = (Constant(name, data) for name, data in constants.items())
    current = build.add(op, value, weight, name="current")
    value = build.add(Neuron(t_max), current, bias, slope, name="neuron")
    graph = build.build([build.add(Decode(), value, name="levels")])
    return compiled(graph, "assign-windows,insert-readout")


@pytest.mark.parametrize("slope", [1023, 2047, 3969, 4039, 4095])
def test_byte_kernels_floor_exactly_next_to_the_highest_level(slope: int) -> None:
    t_max, inputs = 127, 256
    bias = (t_max - 1) * slope - 1 - inputs * (t_max - 1)
    graph = one_layer(
        Connect(),
        (inputs,),
        t_max,
        W=np.ones((16, inputs), np.int8),
        B=bias + np.arange(16, dtype=np.int32) % 3 - 1,
        D=np.full(16, slope, np.int32),
    )
    same(graph, np.full((2, inputs), t_max - 1, np.float32))


@pytest.mark.parametrize("outputs", [4, 16])
@pytest.mark.parametrize("shape", [(), (1, 1, 1), (None, 1, 1)])
def test_bias_and_slope_spread_over_a_population(outputs: int, shape: tuple[Any, ...]) -> None:
    rng = np.random.default_rng(outputs)
    spread = tuple(outputs if n is None else n for n in shape)
    graph = one_layer(
        Convolve((1, 1), (0,) * 4, (1, 1)),
        (32, 5, 5),
        16,
        W=rng.integers(-100, 100, (outputs, 32, 3, 3)).astype(np.int8),
        B=np.full(spread, 7, np.int32),
        D=np.full(spread, 301, np.int32),
    )
    same(graph, rng.integers(0, 16, (8, 32, 5, 5)).astype(np.float32))


def test_the_lowest_bytes_keep_their_sign() -> None:
    rng = np.random.default_rng(0)
    weight = np.where(rng.random((16, 300)) < 0.5, -128, 127).astype(np.int8)
    constants = {"B": np.zeros(16, np.int32), "D": np.full(16, 501, np.int32)}
    graph = one_layer(Connect(), (300,), 16, W=weight, **constants)
    same(graph, rng.integers(0, 16, (8, 300)).astype(np.float32))
