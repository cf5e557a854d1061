"""The events engine has the spikes, the counters and the errors of the steps engine."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qcompiler.backends.reference.events.events_engine import EventsEngine
from qcompiler.backends.reference.events.scatter import Scatter
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import Constant, Graph, ProgramError, UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Fanout
from qcompiler.ir.spiking.integer_network import calibrated
from qcompiler.ir.spiking.synapse import current
from tests.support.random_networks import CALIBRATED, PHASES, compiled, random_batch, random_network
from tests.support.spiking import Net, equal_neurons, final

CODES = ("one-spike", "silent", "burst")
NARROW = CALIBRATED.replace("input=32512", "input=1200")  # no proof for a neuron of a few synapses
seeds = st.integers(0, 10_000)


def agree(graph: Graph, batch: Array) -> None:
    """Hold the engine to the steps engine; both may raise the same error."""
    engines = StepsEngine(graph), EventsEngine(graph, StepsEngine(graph))
    outcomes, errors = [], []
    for engine in engines:
        try:
            outcomes.append(engine(batch, record=True))
        except ProgramError as error:
            errors.append(str(error))
    if errors:
        assert len(errors) == 2
        assert errors[0] == errors[1]
        return
    golden, outcome = outcomes
    equal_neurons(golden.levels, outcome.levels)
    assert golden.counters == outcome.counters
    np.testing.assert_array_equal(golden.outputs[0], outcome.outputs[0])


@given(seed=seeds, code=st.sampled_from(CODES), t_max=st.integers(2, 12))
@example(seed=3, code="one-spike", t_max=8)
@settings(max_examples=20, phases=PHASES)
def test_frames_within_bounds_and_beyond(seed: int, code: str, t_max: int) -> None:
    graph = random_network(seed, depth=3, branches=bool(seed % 2))
    batch = random_batch(graph, seed)
    text = NARROW.replace("insert-readout", f"choose-codes{{code={code}}},insert-readout")
    try:
        spiking = compiled(graph, text, calibration=(batch[:2] / 8,), t_max=t_max)
    except UnsupportedModel:
        assume(False)
    assume(calibrated(spiking))
    assert EventsEngine(spiking, StepsEngine(spiking)).regular
    agree(spiking, np.concatenate([batch[:2] / 8, batch]))


def spoilt(graph: Graph, seed: int) -> Graph:
    """A graph whose clocks have other weights, in one role of one population."""
    rng, nodes = np.random.default_rng(seed), list(graph.nodes)
    at = int(rng.choice([i for i, node in enumerate(nodes) if isinstance(node.op, Fanout)]))
    tick, weight = nodes[at].operands
    assert isinstance(weight, Constant)
    more = int(rng.choice([-1, 1]) * rng.choice([2, 1 << 6, 1 << 16]))
    other = Constant(weight.name + "spoilt", (weight.data + more).astype(np.int64))
    nodes[at] = replace(nodes[at], operands=(tick, other))
    return replace(graph, nodes=tuple(nodes))


@given(seed=seeds, code=st.sampled_from(CODES))
@settings(max_examples=60, phases=PHASES)
def test_spoilt_clocks_show(seed: int, code: str) -> None:
    """Also in programs that no check lets pass."""
    net = Net(seed, largest=60, drive=0.5)
    x = net.conv(net.input((2, 5, 4), 5), 3, (3, 3), pad=1, t_max=5)
    graph = net.graph(net.dense(net.pool(x, 2, 1), 4, 5))
    graph = compiled(graph, f"assign-windows,choose-codes{{code={code}}},insert-readout")
    agree(spoilt(graph, seed), net.rng.integers(0, 5, (4, 2, 5, 4)).astype(np.float32))


@given(
    seed=seeds,
    space=st.lists(st.integers(3, 6), min_size=0, max_size=3),
    groups=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
)
@settings(max_examples=40, phases=PHASES)
def test_scattered_weights_are_products(
    seed: int, space: list[int], groups: int, stride: int, dilation: int
) -> None:
    rng, rank = np.random.default_rng(seed), len(space)
    op = Convolve(
        (stride,) * rank,
        tuple(int(n) for n in rng.integers(0, 3, 2 * rank)),
        (dilation,) * rank,
        groups,
    )
    kernel = tuple(int(n) for n in rng.integers(1, 3, rank))
    weight = rng.integers(-9, 9, (2 * groups, 2, *kernel)).astype(np.float64)
    events = rng.integers(0, 4, (3, 2 * groups, *space)) * (rng.random((3, 1, *space)) < 0.5)
    scatter = Scatter(op, weight, events.shape[1:])
    expected = current(op, events, weight)
    for found in (scatter(events), scatter._scattered(events, 1, 0)):
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    arrivals = scatter.by_arrival(events, 3, 3)
    for slot, found in enumerate(arrivals):
        expected = current(op, events == 3 - slot, weight)
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def test_few_spikes_are_scattered_and_many_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    scatter, called = Scatter(Connect(), np.ones((64, 500), np.float32), (500,)), []
    monkeypatch.setattr(scatter, "_scattered", lambda events, *_: called.append(events))
    scatter(np.arange(500)[None] == 7)
    assert len(called) == 1
    np.testing.assert_array_equal(scatter(np.ones((1, 500))), np.full((1, 64, 1), 500))
    assert len(called) == 1


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(0)
    graph = final(net.graph(net.dense(net.input((4,)), 3)))
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ProgramError, match=r"pip install 'qcompiler-snn\[events\]'"):
        EventsEngine(graph, StepsEngine(graph))
