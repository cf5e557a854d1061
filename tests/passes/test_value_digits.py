"""Values in two digits: the same function, the levels of both, and only where they pay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.explain.measure.pairing import match_layers
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.slicing.bottlenecks import Bottleneck, Slicing
from qcompiler.passes.slicing.channel_slices import can_split_channels
from qcompiler.passes.slicing.digits import can_have_digits, split_digits
from qcompiler.passes.slicing.later_digits import WORTH_STEPS, later_digits
from qcompiler.passes.slicing.sliceable import can_slice, ready
from qcompiler.passes.slicing.split_value import noisy_apart
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import LOIHI, PHASES, REFERENCE, compiled, random_network
from tests.support.rewrites import FOLDED, engines_agree, keeps_the_numbers, to_be_split

seeds = st.integers(0, 2**32 - 1)


def in_digits(graph: Graph, name: str, rng: np.random.Generator, levels: tuple[int, int]) -> Graph:
    """One value in two digits; coarse levels lie below zero where it has no ReLU."""
    graph, group, clip, lowest = to_be_split(graph, name, -3.0)
    step = float(rng.uniform(0.1, 2)) / levels[0]
    if clip.high is not None:
        step = min(step, clip.high / 2)
    below = min(int(rng.integers(levels[0])), int(-lowest / step))
    return split_digits(graph, group, step * levels[0], *levels, -below * step)


def all_digits(graph: Graph, seed: int) -> Graph:
    """Every value that can be, in two digits."""
    rng = np.random.default_rng(seed)
    groups = [group for group in fusion_groups(graph) if can_slice(graph, group)]
    for name in [g.result.name for g in groups if can_have_digits(graph, g.result)]:
        levels = int(rng.integers(2, 9)), int(rng.integers(2, 9))
        graph = in_digits(graph, name, rng, levels)
    return graph


@pytest.mark.parametrize("branches", [False, True])
@given(seed=seeds)
@settings(max_examples=25, phases=PHASES)
def test_digits_keep_the_numbers(branches: bool, seed: int) -> None:
    graph = compiled(random_network(seed, 6, branches), FOLDED)
    keeps_the_numbers(graph, all_digits(graph, seed), seed)


@pytest.mark.long
@pytest.mark.parametrize("text", [REFERENCE, LOIHI])
@given(seed=seeds)
@settings(max_examples=10, phases=PHASES)
def test_engines_agree(text: str, seed: int) -> None:
    engines_agree(lambda graph: all_digits(graph, seed), text, seed)


def test_digits_pay_with_the_steps_that_they_take() -> None:
    """They save 48 for 10 neurons and steps like 5; noise there is worth twice as many as 3.2."""
    noise = np.array([49.0])
    assert Bottleneck(noise, 10.0, finer=7, later=5.0).best(6.3, 0.0, 4) == Slicing(
        1.0, 25.0, 2, digits=8
    )
    assert Bottleneck(noise, 10.0, finer=7, later=5.0).best(6.5, 0.0, 4) == Slicing(49.0, 10.0)
    assert Bottleneck(noise, 10.0, most=1, finer=7).best(0.1, 0.0, 4) == Slicing(49.0, 10.0)


def test_slices_or_digits_of_the_channels_where_they_pay() -> None:
    """Digits of two channels save 96 for 20 neurons; as slices they would save 74."""
    noise = np.array([1.0, 49.0, 49.0, 0.0])
    value = Bottleneck(noise, 10.0).with_digits(8, 0.0, fitted=True)
    some, whole, none = (value.best(*given, 4) for given in ((1.0, 0.0), (0.001, 2.0), (5.0, 0.0)))
    assert (some.slices, some.noisy, some.noisy_slices, some.digits) == (1, 2, 2, 8)
    assert some.noise == pytest.approx(3.0) and some.neurons == 60.0
    assert (whole.slices, whole.noisy, whole.digits, whole.neurons) == (2, 0, 8, 80.0)
    assert none == Slicing(99.0, 40.0)
    short = Bottleneck(np.array([49.0, 49.0]), 0.01).with_digits(3, 0.0, fitted=True)
    found = short.best(1.0, 0.0, 4)
    assert (found.slices, found.digits) == (4, 0)  # the finer digit has few levels


def test_digits_stand_for_two_slices_where_they_are_worth_their_steps() -> None:
    """Of 100 that two slices leave a quarter of, digits with 8 levels leave 100 / 49, 23 less."""
    values = {name: Bottleneck(np.array([100.0, 8.0]), 1.0) for name in "abc"}
    slices = dict.fromkeys(values, Slicing(33.0, 3.0, 1, 1, 2))
    steps = int(WORTH_STEPS * 8 * 3 * 33 / 23)
    found = later_digits(slices, values, {"a"}, 3 * 108.0, 8, steps + 1)
    assert found["a"].digits == 8 and found["a"].noise == pytest.approx(8 + 100 / 49)
    assert found["b"] == found["c"] == slices["b"]  # pools read these
    assert later_digits(slices, values, set(values), 3 * 108.0, 8, steps - 1) == slices
    threefold = dict.fromkeys(values, Slicing(108 / 9, 6.0, 3))
    assert later_digits(threefold, values, set(values), 3 * 108.0, 8, 1000) == threefold


@given(seed=seeds)
@settings(max_examples=15, phases=PHASES)
def test_digits_of_some_channels_keep_the_numbers(seed: int) -> None:
    graph = compiled(random_network(seed, 6, True), FOLDED)
    rng, split = np.random.default_rng(seed), graph
    for group in fusion_groups(graph):
        channels, name = group.result.type.shape[0], group.result.name
        whole = can_slice(split, group) and can_have_digits(split, group.result)
        if whole and channels > 1 and can_split_channels(split, group_named(split, name)):
            noisy = rng.permutation(channels)[: int(rng.integers(1, channels))]
            slicing = Slicing(0.0, 0.0, 1, len(noisy), 2, digits=3)
            split = ready(split, name)
            split, (_, part) = noisy_apart(split, name, slicing, noisy, None)
            split = in_digits(split, part, rng, (5, 3))
    keeps_the_numbers(graph, split, seed)


def depthwise(seed: int) -> onnx.ModelProto:
    """A network whose depthwise layers see the differences of noisy neighbours."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    return model(
        "float[N,3,8,8] x",
        "a = Conv<pads=[1,1,1,1]>(x, V) r = Clip(a, z, s)"
        " d = Conv<group=8, pads=[1,1,1,1]>(r, W) t = Relu(d)"
        " p = Conv(t, U) q = Relu(p) m = GlobalAveragePool(q) f = Flatten(m) y = Gemm(f, G)",
        V=weights(8, 3, 3, 3) / 2,
        W=weights(8, 1, 3, 3),
        U=weights(256, 8, 1, 1),
        G=weights(256, 4),
        z=np.float32(0),
        s=np.float32(6),
    )


@pytest.mark.long
def test_around_depthwise_layers_values_have_digits() -> None:
    proto, data = depthwise(0), np.random.default_rng(1).random((64, 3, 8, 8), np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=data, t_max=32)
    codes = {p.name: p.t_max for p in program.report().populations}
    assert [codes[f"{name}:digit{at}"] for name in "rt" for at in (1, 0)] == [32, 8, 32, 8]
    other = qcompiler.compile(proto, target="reference", calibration=data, t_max=32, slices=1)
    (real,) = run_onnx(proto, {"x": data})
    errors = [float(np.square(np.asarray(p.run(data)) - real).mean()) for p in (program, other)]
    assert errors[0] < errors[1]


def test_explanations_add_up_digits() -> None:
    proto, data = depthwise(0), np.random.default_rng(1).random((64, 3, 8, 8), np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=data, t_max=32)
    layers = match_layers(program, import_model(proto).graph, Path("m.onnx"))
    part = next(layer.main for layer in layers if layer.name == "r")
    assert part.places == (7, 1)
    assert part.code.t_max == 32 * 7 + 1
