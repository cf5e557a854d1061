"""Weights of two digits: what each may lose, and which channels get copies where energy counts."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Clip, Dense
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import layers, weight_of
from qcompiler.passes.integers.weight_prices import weight_prices
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.slicing.channel_noise import measure_channels
from qcompiler.passes.slicing.digits import split_digits
from qcompiler.passes.slicing.noise import noise_of
from tests.passes.test_spared_weights import ranged, step_of
from tests.support.random_networks import compiled

PARTS = "relu1:digit1", "relu1:digit0"


def in_digits(*sizes: int) -> tuple[Graph, tuple[Array, ...]]:
    """Dense layers; the first hidden value in two digits of 16 and 8 levels."""
    graph, data = ranged(*sizes)
    group = group_named(graph, "relu1")
    assert isinstance(group.result.type, Tensor) and group.result.type.range
    return split_digits(graph, group, group.result.type.range[1], 16, 8), data


def test_the_coarse_digit_adds_no_rounding_and_weighs_less() -> None:
    """The finer one takes up what the coarse one rounds, and most errors of its sums."""
    graph, data = in_digits(8, 40, 3)
    prices = weight_prices(graph, data, 16, {})
    coarse, finer = (prices[part] for part in PARTS)
    assert coarse == pytest.approx(10 * finer, rel=0.01)
    events = 2 * (8 * 40) + 40 + 2 * 40 * 3
    hidden = 40 / finer * step_of(graph, PARTS[1], 8) ** 2  # its gain, of these levels
    ends = 3 / prices["y2"] * step_of(graph, "y2", 64) ** 2
    assert (hidden + ends) / 12 == pytest.approx(events, rel=0.01)


def test_the_finer_digit_keeps_fewer_weights() -> None:
    graph, data = in_digits(12, 40, 5)

    def weights(spare: float) -> dict[str, int]:
        text = f"quantize{{effort=1 prune=0.1 spare={spare}}}"
        made = compiled(graph, text, calibration=data, t_max=16)
        last = list(layers(made))[-1]
        count = dict.fromkeys(PARTS, 0)
        for synapse in last.synapses:
            count[synapse.operands[0].name] += int(np.count_nonzero(weight_of(synapse)))
        return count

    few, many = weights(10.0), weights(0.01)
    assert few[PARTS[1]] < 0.9 * many[PARTS[1]]
    assert few[PARTS[1]] < few[PARTS[0]]


def deaf(channels: int = 6) -> Graph:
    """A hidden layer whose largest channel only reaches a sum that hardly reaches the output."""
    rng, build = np.random.default_rng(2), Builder("net")
    first = rng.standard_normal((channels, 8)).astype(np.float32)
    second = np.ones((2, channels), np.float32)
    second[0, 0], second[1, 1:] = 0.0, 0.0
    value = build.input("x", Tensor((8,)))
    last = np.array([[1.0, 0.01]], np.float32)
    for name, weight in (("a", first), ("b", second), ("c", last)):
        bias = Constant(f"{name}:bias", np.zeros(len(weight), np.float32))
        value = build.add(Dense(), value, Constant(f"{name}:w", weight), bias, name=f"{name}:sum")
        value = build.add(Clip(0.0), value, name=name) if name != "c" else value
    return build.build([value])


def test_noise_of_channels_is_what_the_outputs_hear() -> None:
    graph, data = deaf(), (np.random.default_rng(3).standard_normal((64, 8)).astype(np.float32),)
    found = noise_of(graph, data, lambda value: 16)
    in_sums = found["a"].channels.copy()
    measure_channels(graph, data, found, ["a"])
    heard = found["a"].channels / found["a"].channels.sum()
    assert in_sums[0] > 0.1 * in_sums.sum() and heard[0] < 0.001
    assert np.corrcoef(heard[1:], in_sums[1:])[0, 1] > 0.9


def test_quiet_values_keep_their_noise() -> None:
    graph, data = deaf(), (np.random.default_rng(3).standard_normal((64, 8)).astype(np.float32),)
    found = noise_of(graph, data, lambda value: 16)
    before = found["a"].channels.copy()
    found["a"].outputs = 0.0
    measure_channels(graph, data, found, ["a"])
    assert np.array_equal(found["a"].channels, before)
