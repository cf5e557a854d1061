"""Values coded by several populations: the same function, more levels, and only where it pays."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Builder, Constant, Graph, Tensor, Value
from qcompiler.ir.ann import Clip, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.slicing import noise, rounded_outputs
from qcompiler.passes.slicing.noise import noise_of, shares
from qcompiler.passes.slicing.sliceable import around_depthwise, can_slice
from qcompiler.passes.slicing.slices import (
    slice_name,
    split_range,
    unsliced_name,
    unsplit_name,
)
from qcompiler.passes.tensor.split_ranges import SplitRanges
from tests.support.onnx_models import model
from tests.support.random_networks import LOIHI, PHASES, REFERENCE, compiled, random_network
from tests.support.rewrites import FOLDED, engines_agree, keeps_the_numbers, to_be_split

seeds = st.integers(0, 2**32 - 1)


def all_sliced(graph: Graph, seed: int) -> Graph:
    """Every value that can be, in two to four slices."""
    rng = np.random.default_rng(seed)
    for name in [group.result.name for group in fusion_groups(graph) if can_slice(graph, group)]:
        graph, group, clip, low = to_be_split(graph, name, -float(rng.uniform(0, 3)))
        width, count = float(rng.uniform(0.1, 2)), int(rng.integers(2, 5))
        if clip.high is not None:
            width = min(width, (clip.high - low) / count)
        graph = split_range(graph, group, width, count, low)
    return graph


@pytest.mark.parametrize("branches", [False, True])
@given(seed=seeds)
@settings(max_examples=25, phases=PHASES)
def test_slices_keep_the_numbers(branches: bool, seed: int) -> None:
    graph = compiled(random_network(seed, 6, branches), FOLDED)
    keeps_the_numbers(graph, all_sliced(graph, seed), seed)


@pytest.mark.parametrize("text", [REFERENCE, LOIHI])
@given(seed=seeds)
@settings(max_examples=10, phases=PHASES)
def test_engines_agree(text: str, seed: int) -> None:
    engines_agree(lambda graph: all_sliced(graph, seed), text, seed)


def test_values_around_depthwise_layers_are_found() -> None:
    proto = model(
        "float[N,4,6,6] x",
        "a = Conv(x, V) r = Clip(a, z, s) d = Conv<group=4>(r, W) t = Clip(d, z, s)"
        " p = Conv(t, U) y = Flatten(p)",
        V=(4, 4, 1, 1),
        W=(4, 1, 3, 3),
        U=(2, 4, 1, 1),
        z=np.float32(0),
        s=np.float32(6),
    )
    graph = compiled(import_model(proto).graph, FOLDED)
    groups = {group.result.name: group for group in fusion_groups(graph)}
    assert around_depthwise(graph) == {"r", "t"}
    assert [name for name, group in groups.items() if can_slice(graph, group)] == ["r", "t"]


def network(narrow: int = 4, wide: int = 32, pooled: bool = True) -> Graph:
    """A wide layer, a narrow one (through a pool), a wide one and classes."""
    rng, build = np.random.default_rng(2), Builder("net")
    value = build.input("x", Tensor((2, 8, 8)))
    channels = 2
    for name, outputs in (("first", wide), ("narrow", narrow), ("last", wide)):
        data = rng.standard_normal((outputs, channels, 1, 1)) / np.sqrt(channels)
        data -= data.mean(axis=1, keepdims=True)  # or positive inputs silence half of the channels
        constants = (
            Constant(f"{name}:w", data.astype(np.float32)),
            Constant(f"{name}:b", np.zeros((outputs, 1, 1), np.float32)),
        )
        op = Conv((1, 1), (0, 0, 0, 0), (1, 1))
        value = build.add(op, value, *constants, name=f"{name}:conv", origin=[name])
        value = build.add(Clip(0.0), value, name=name, origin=[name])
        if name == "narrow" and pooled:
            value = build.add(
                MaxPool((2, 2), (0, 0, 0, 0), (1, 1), (2, 2)), value, name="pool", origin=["pool"]
            )
        channels = outputs
    size = int(np.prod(value.type.shape))
    weight = rng.standard_normal((10, size)) / np.sqrt(size)
    dense = Constant("w", weight.astype(np.float32)), Constant("b", np.zeros(10, np.float32))
    return build.build([build.add(Dense(), value, *dense, name="y", origin=["y"])], ["y"])


def images(count: int = 60) -> Array:
    return np.random.default_rng(1).random((count, 2, 8, 8), np.float32)


def populations(**options: Any) -> Counter[str]:
    """How many neurons code each hidden value, of those that one population has."""
    program = qcompiler.compile(
        network(), calibration=images(), target="reference", **{"t_max": 16, **options}
    )
    rows = [row for row in program.report().populations if row.kind == "integrate"]
    found = Counter[str]()
    for row in rows:
        found[unsplit_name(row.name)] += row.neurons
    del found["y"]  # the output comes in pieces
    return found


WHOLE = {"first": 32 * 64, "narrow": 4 * 64, "last": 32 * 16}


def test_bottlenecks_are_split_and_others_are_not() -> None:
    found = populations(slices=8)
    assert found["narrow"] >= 1.25 * WHOLE["narrow"]
    assert found == WHOLE | {"narrow": found["narrow"]}
    assert populations(slices=1) == WHOLE
    assert populations(effort=0) == WHOLE
    assert populations(t_max=256) == WHOLE  # so little noise needs no neurons


@pytest.mark.parametrize(("shift", "slices"), [(0.0, True), (50.0, False)])
def test_small_networks_get_slices_where_precision_is_asked_for(shift: float, slices: bool) -> None:
    """From 64 levels on, unless values lie far from zero: slices begin there."""
    body = "a = Gemm(x, w) h = Add(a, c) r = Relu(h) d = Sub(r, c) y = Gemm(d, v)"
    shifts: dict[str, Any] = {"c": np.float32(shift)}
    proto = model("float[N,6] x", body, w=(6, 8), v=(8, 3), **shifts)
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    for t_max, sliced in ((32, False), (64, slices)):
        program = qcompiler.compile(proto, target="reference", calibration=x, t_max=t_max)
        assert any(":slice" in row.name for row in program.report().populations) == sliced


def test_with_few_levels_more_is_worth_it() -> None:
    few, many = populations(t_max=3), populations(t_max=16)
    assert few["first"] > 1.2 * many["first"]
    assert few["last"] > 2 * many["last"]
    assert populations(t_max=3, slices=2)["last"] == 2 * WHOLE["last"]


def test_what_some_channels_are_is_noted() -> None:
    """A manifest holds the channels of every part that the program has, and no others."""
    program = qcompiler.compile(network(), calibration=images(), target="reference", t_max=16)
    parts = program.manifest["channel_parts"]
    assert sorted(parts["narrow:channels0"] + parts["narrow:channels1"]) == [0, 1, 2, 3]
    rows = {unsliced_name(row.name): row for row in program.report().populations}
    assert parts.keys() == {name for name in rows if "narrow:" in name or "first:" in name}
    assert "channel_parts" not in qcompiler.compile(network(), target="reference").manifest


def test_noise_is_told_by_channel() -> None:
    """One channel that is read with ten times the weights does a hundred times as much."""
    graph = compiled(network(), FOLDED)
    (reader,) = (node for node in graph.nodes if node.result.name == "last:conv")
    loud = reader.arrays[0].copy()
    loud[:, 2] = 10 * loud[:, 1]
    constants = Constant("loud", loud), *reader.operands[2:]
    changed = replace(reader, operands=(reader.operands[0], *constants))
    nodes = tuple(changed if node is reader else node for node in graph.nodes)
    found = noise_of(replace(graph, nodes=nodes), (images(),), lambda value: 16)
    by_channel = np.asarray(found["narrow"].channels)
    assert by_channel.shape == (4,)
    assert 20 < by_channel[2] / by_channel[1] < 500
    assert np.isnan(found["last"].channels).all()  # a vector of all its elements is read


def test_without_data_nothing_is_split() -> None:
    graph = network()
    assert SplitRanges(effort=1)(graph) is graph


def copying(build: Builder, value: Value, name: str) -> Value:
    """A convolution that leaves its one channel as it is."""
    one = Constant("w", np.ones((1, 1, 1, 1), np.float32))
    none = Constant("b", np.zeros((1, 1, 1), np.float32))
    return build.add(Conv((1, 1), (0, 0, 0, 0), (1, 1)), value, one, none, name=name)


def test_slices_of_a_value_make_one_finer_code() -> None:
    """Two slices of T levels, one upon the other, are 2 T - 1 levels, where weights are exact."""
    build = Builder("net")
    value = copying(build, build.input("x", Tensor((1, 4, 4))), "conv")
    value = build.add(Clip(0.0), value, name="relu")
    data = Constant("v", np.eye(16, dtype=np.float32)), Constant("c", np.zeros(16, np.float32))
    graph = build.build([build.add(Dense(), value, *data, name="y")])
    batch = np.linspace(0, 1, 160, dtype=np.float32).reshape(10, 1, 4, 4)

    def levels(graph: Graph, t_max: int) -> list[Array]:
        text = "split-inputs{levels=65},normalize{high=1},quantize,assign-windows"
        spiking = qcompiler.compile(
            graph, target="reference", t_max=t_max, passes=f"{text},insert-readout"
        )
        found = spiking.engine("fast")(batch, record=True).levels
        return [q.astype(int) for name, q in found.items() if "relu" in name]

    (group,) = (group for group in fusion_groups(graph) if group.clip)
    low, high = levels(split_range(graph, group, 0.5, 2), 9)
    (whole,) = levels(graph, 17)
    np.testing.assert_array_equal(low + high, whole)
    assert ((low == 8) | (high == 0)).all()


def test_noise_is_that_of_rounding() -> None:
    """Of even values over T - 1 steps: a twelfth of a step squared, over a twelfth of the range."""
    build = Builder("net")
    value = build.input("x", Tensor((1, 32, 32)))
    for name in ("first", "second"):
        value = build.add(Clip(0.0), copying(build, value, f"{name}:conv"), name=name)
    graph = build.build([copying(build, value, "y")])
    data = np.random.default_rng(0).random((20, 1, 32, 32), np.float32)
    found = noise_of(graph, (data,), lambda value: 9 if value.name == "second" else 17)
    for name, steps in (("x", 16), ("first", 16), ("second", 8)):
        assert found[name].sums == pytest.approx(1 / steps**2, rel=0.2)
        assert found[name].outputs == pytest.approx(1 / steps**2, rel=0.2)
    assert sum(shares(found).values()) == pytest.approx(1)
    assert shares(found)["second"] == pytest.approx(4 / 6, rel=0.2)


def test_values_that_take_too_much_memory_are_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, data = compiled(network(), FOLDED), (images(),)
    known = noise_of(graph, data, lambda value: 16)
    monkeypatch.setattr(rounded_outputs, "_MEMORY", 0)
    again = noise_of(graph, data, lambda value: 16)
    for name, one in known.items():
        assert one.outputs == pytest.approx(again[name].outputs, rel=1e-4)


def test_of_deep_networks_only_the_sums_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = compiled(network(), FOLDED), (images(),)
    monkeypatch.setattr(noise, "_MOST_VALUES", 2)
    found = noise_of(graph, data, lambda value: 16)
    assert all(one.sums > 0 and one.outputs == 0 for one in found.values())
    assert sum(shares(found).values()) == pytest.approx(1)
    assert shares({}) == {}


def test_names() -> None:
    assert unsplit_name(slice_name("a:slice", 3)) == "a:slice"
    assert unsplit_name("a:slices") == "a:slices"


@pytest.mark.parametrize("number", [0, -1, 17])
def test_a_number_of_slices_that_makes_no_sense_is_refused(number: int) -> None:
    with pytest.raises(qcompiler.CompileError, match="slices must be between 1 and 16"):
        qcompiler.compile(network(), calibration=images(), slices=number)
