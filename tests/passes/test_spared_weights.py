"""Weights go where their synaptic events are worth more than the noise that they leave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qcompiler
from qcompiler.ir import Graph, PipelineError, Tensor, show
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import fan_in, layers
from qcompiler.passes import Pipeline
from qcompiler.passes.fitting.compensated import compensated
from qcompiler.passes.fitting.pruning import kept
from qcompiler.passes.integers.weight_prices import weight_prices
from qcompiler.passes.tensor.normalize import Normalize
from tests.passes.test_cheap_ends import dense_layers, samples
from tests.support.onnx_models import model
from tests.support.random_networks import compiled
from tests.support.spiking import same_spikes


@given(seed=st.integers(0, 1000), worth=st.floats(1e-4, 1.0))
def test_others_make_up_for_the_weights_that_go(seed: int, worth: float) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 12)) + rng.normal(size=(50, 12)) / 9
    gram, weights = inputs.T @ inputs / 50, rng.normal(size=(4, 12)) * (rng.random((4, 12)) < 0.9)
    found = compensated(weights, gram, np.full(12, worth), np.full(4, np.inf))
    assert not found[weights == 0].any() and np.all((found != 0).sum(axis=1) >= 1)
    gone = (weights != 0) & (found == 0)
    errors = np.square(inputs @ (found - weights).T).mean(axis=0)
    assert np.all(errors <= worth * gone.sum(axis=1) * (1 + 1e-9))
    assert np.array_equal(found[~gone.any(axis=1)], weights[~gone.any(axis=1)])


def test_of_two_inputs_alike_one_is_enough() -> None:
    gram = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    (found,) = compensated(np.array([[1.0, 0.9, 0.2]]), gram, np.full(3, 0.02), np.array([9.0]))
    assert (found == 0).tolist() == [False, True, False]
    assert found[0] == pytest.approx(1.9, abs=0.02)
    (found,) = compensated(np.array([[1.0, 0.9, 0.2]]), gram, np.full(3, 1e3), np.array([0.02]))
    assert np.count_nonzero(found) == 2  # no more errors than an output may have


def test_a_weight_whose_synapses_are_more_goes_first() -> None:
    worth, most = np.array([0.02, 0.06]), np.array([1.0])
    found = compensated(np.array([[0.2, 0.2]]), np.eye(2), worth, most)
    assert (found == 0).tolist() == [[False, True]]
    assert kept(np.array([[[0.2, 0.2]]]), np.ones((1, 2)), 9.0, worth).tolist() == [[[True, True]]]
    assert kept(np.array([[[0.2, 0.3]]]), np.ones((1, 2)), 9.0, worth).tolist() == [[[True, True]]]


def ranged(*sizes: int) -> tuple[Graph, tuple[Array, ...]]:
    data = (samples(60, sizes[0]),)
    return Normalize(calibration=data)(dense_layers(*sizes)), data


def test_a_price_is_that_of_noise_at_the_outputs() -> None:
    """Noise of a value that a linear layer reads has the power of that layer's weights."""
    graph, (data,) = ranged(8, 40, 3)
    first, second = (node.arrays[0] for node in graph.nodes if node.arrays)
    hidden, events = np.maximum(data @ first.T, 0), 8 * 40 + 40 * 3
    variance = (hidden @ second.T).var(axis=0).mean()
    gains = ((hidden > 0) @ np.square(second).T).mean() / variance, 1 / variance
    levels = [step_of(graph, name, count) for name, count in (("relu1", 16), ("y2", 64))]
    rounding = sum(gain * level**2 / 12 for gain, level in zip(gains, levels, strict=True))
    prices = weight_prices(graph, (data,), 16, {})
    for name, neurons, gain in zip(("relu1", "y2"), (40, 3), gains, strict=True):
        expected = rounding * neurons / gain / events
        assert prices[name] == pytest.approx(expected, rel=0.2)  # noise is a sample


def step_of(graph: Graph, name: str, count: int) -> float:
    """The distance of levels of a value."""
    (found,) = (n.result.type for n in graph.nodes if n.result.name == name)
    assert isinstance(found, Tensor) and found.range is not None
    return (found.range[1] - found.range[0]) / (count - 1)


def test_slices_share_what_their_weights_are_worth() -> None:
    graph, data = ranged(8, 40, 40, 3)
    apart = weight_prices(graph, data, 16, {})
    (first, second, *_), sizes = apart, 40 + 40
    joined = weight_prices(graph, data, 16, {second: first})
    noise = 40 / apart[first] + 40 / apart[second]
    assert joined[first] == pytest.approx(sizes / noise, rel=0.01) and second not in joined


def test_sparing_saves_synapses() -> None:
    graph, data = dense_layers(12, 40, 5), samples(200, 12)

    def synapses(spare: float) -> int:
        text = f"fold-linear,normalize,quantize{{effort=1 prune=0.1 spare={spare}}}"
        made = compiled(graph, text, calibration=(data,), t_max=16)
        return sum(int(fan_in(made, layer.node).sum()) for layer in layers(made))

    counts = [synapses(spare) for spare in (0.1, 3.0, 30.0)]
    assert counts[0] > 1.05 * counts[1] > 1.1 * counts[2]
    with pytest.raises(PipelineError, match="spare must be at least 0, not -1"):
        Pipeline.parse("quantize{spare=-1.0}")


def test_few_weights_go_where_their_price_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = dense_layers(12, 40, 5), samples(200, 12)

    def made(options: str) -> str:
        text = f"fold-linear,normalize,quantize{{effort=1 {options}}}"
        return show(compiled(graph, text, calibration=(data,), t_max=16))

    known = made("prune=0.1 spare=3.0")
    monkeypatch.setattr("qcompiler.passes.integers.weight_prices._MOST_VALUES", 1)
    assert made("prune=0.1 spare=3.0") == made("prune=0.001") != known


@pytest.mark.parametrize(
    "body",
    [
        "h = Gemm(x, w) r = Relu(h) z = Gemm(r, v) y = Gemm(r, w3)",  # an end is not all ends
        "h = Gemm(x, w) s = Sign(h) z = Gemm(s, v) y = Relu(z)",  # noise stops at a jump
        "h = Gemm(x, w) z = Relu(h) y = Gemm(z, v)",  # an end that is read as well
    ],
)
def test_several_outputs_and_noise_that_reaches_none(body: str) -> None:
    proto = model("float[N,6] x", body, outputs="y z", w=(6, 8), v=(8, 5), w3=(8, 3))
    data = samples(60, 6)
    program = qcompiler.compile(proto, calibration=data, objective="energy", target="reference")
    same_spikes(program, "fast", data[:4])
