"""A value as several of some channels each: the same function, and engines agree on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.ir import Builder, Constant, Graph, Op, Tensor, UnsupportedModel, evaluate, verify
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Take
from qcompiler.passes.folding.linear import weights_by_channel
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.slicing.channel_slices import (
    can_split_channels,
    channels_name,
    split_channels,
)
from qcompiler.passes.slicing.noise import noise_of
from qcompiler.passes.slicing.sliceable import can_slice
from qcompiler.passes.slicing.slices import (
    slice_name,
    split_range,
    unsliced_name,
    unsplit_name,
)
from tests.support.random_networks import (
    LOIHI,
    PHASES,
    REFERENCE,
    compiled,
    random_batch,
    random_network,
)
from tests.support.rewrites import FOLDED, engines_agree, keeps_the_numbers
from tests.support.spiking import same_spikes

seeds = st.integers(0, 2**32 - 1)
EQUALIZED = f"{FOLDED},equalize{{effort=1}}"


def all_parted(graph: Graph, seed: int, most: int) -> Graph:
    """Every value that can be, as two or three of some channels, and these in slices or not."""
    rng = np.random.default_rng(seed)
    for name in [
        group.result.name for group in fusion_groups(graph) if can_split_channels(graph, group)
    ]:
        channels = rng.permutation(of(graph, name).result.type.shape[0])
        cuts = np.sort(rng.integers(0, len(channels) + 1, int(rng.integers(1, 3))))
        chosen = [np.sort(some) for some in np.split(channels, cuts) if len(some)]
        if len(chosen) == 1:
            continue
        graph = split_channels(graph, of(graph, name), chosen)
        for part in (channels_name(name, index) for index in range(len(chosen))):
            count = int(rng.integers(1, most + 1))
            if count > 1 and can_slice(graph, of(graph, part)):
                graph = split_range(graph, of(graph, part), float(rng.uniform(0.1, 2)), count)
    return graph


def of(graph: Graph, name: str) -> Any:
    return next(group for group in fusion_groups(graph) if group.result.name == name)


@pytest.mark.parametrize("branches", [False, True])
@pytest.mark.parametrize("before", [FOLDED, EQUALIZED])
@given(seed=seeds)
@settings(max_examples=20, phases=PHASES)
def test_channels_keep_the_numbers(branches: bool, before: str, seed: int) -> None:
    network = random_network(seed, 6, branches)
    data = random_batch(network, seed)
    graph = compiled(network, before, calibration=(data,), t_max=8)
    keeps_the_numbers(graph, all_parted(graph, seed, 3), seed)


@pytest.mark.parametrize("text", [REFERENCE, LOIHI])
@given(seed=seeds)
@settings(max_examples=10, phases=PHASES)
def test_engines_agree(text: str, seed: int) -> None:
    engines_agree(lambda graph: all_parted(graph, seed, 2), text, seed)


@pytest.mark.parametrize("target", ["reference", pytest.param("loihi", marks=pytest.mark.long)])
@given(seed=seeds)
@settings(max_examples=10, phases=PHASES)
def test_engines_agree_on_what_targets_make(target: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_network(seed, 6, branches=True)
    batch = random_batch(graph, seed)
    try:
        program = qcompiler.compile(
            graph, calibration=batch, target=target, t_max=int(rng.integers(2, 9))
        )
    except UnsupportedModel:
        assume(False)
        raise
    same_spikes(program, "fast", batch[:4])


def residual(pooled: str = "pool") -> Graph:
    """A pooled value that a convolution and, past it, two sums read."""
    build, rng = Builder("net"), np.random.default_rng(0)

    def convolution(size: int, *channels: int) -> tuple[Op, Constant, Constant]:
        weight = rng.standard_normal((*channels, size, size)).astype(np.float32)
        pads = (size // 2,) * 4
        bias = Constant("b", np.ones((channels[0], 1, 1), np.float32))
        return Conv((1, 1), pads, (1, 1)), Constant("w", weight), bias

    def layer(value: Any, name: str, size: int, *channels: int) -> Any:
        op, *constants = convolution(size, *channels)
        return build.add(op, value, *constants, name=name)

    value = layer(build.input("x", Tensor((2, 6, 6))), "in", 3, 4, 2)
    value = build.add(Clip(0.0), value, name="relu")
    pool = build.add(MaxPool((2, 2), (0, 0, 0, 0), (1, 1), (2, 2)), value, name=pooled)
    value = build.add(Add(), layer(pool, "past", 3, 4, 4), pool, name="sum")
    value = build.add(Clip(0.0), value, name="last")
    value = build.add(Add(), layer(value, "again", 1, 4, 4), pool, name="second sum")
    return build.build([value])


def test_each_part_has_its_rows_and_its_columns() -> None:
    graph = residual()
    found = split_channels(graph, of(graph, "relu"), [np.array([0, 2, 3]), np.array([1])])
    shapes = {node.result.name: node.result.type.shape for node in found.nodes}
    weights = {
        node.result.name: node.arrays[0].shape for node in found.nodes if isinstance(node.op, Conv)
    }
    assert shapes["relu:channels0"] == (3, 6, 6)
    assert shapes["pool:channels1"] == (1, 3, 3)
    assert weights["in:channels0"] == (3, 2, 3, 3)
    assert weights["past:channels0"] == (4, 3, 3, 3)
    assert weights["past:channels1"] == (4, 1, 3, 3)
    verify(found)
    batch = np.random.default_rng(1).random((5, 2, 6, 6), np.float32)
    np.testing.assert_allclose(evaluate(found, batch), evaluate(graph, batch), 1e-4, 1e-4)


@pytest.mark.parametrize("name", ["relu:channels0", "relu:channels1"])
def test_names_that_are_taken_leave_a_value_whole(name: str) -> None:
    graph, clashing = residual(), residual(name)
    assert can_split_channels(graph, of(graph, "relu"))
    assert not can_split_channels(clashing, of(clashing, "relu"))


def test_channels_are_told_apart_only_where_they_stay_in_place() -> None:
    """Two layers read two channels and six of one value: its noise is told as a whole."""
    build, rng = Builder("net"), np.random.default_rng(0)

    def layer(value: Any, name: str, *channels: int) -> Any:
        weight = rng.standard_normal((*channels, 1, 1)).astype(np.float32)
        bias = np.zeros((channels[0], 1, 1), np.float32)
        constants = Constant(f"{name}:w", weight), Constant(f"{name}:b", bias)
        return build.add(Conv((1, 1), (0, 0, 0, 0), (1, 1)), value, *constants, name=name)

    value = build.add(Clip(0.0), layer(build.input("x", Tensor((3, 4, 4))), "in", 8, 3), name="v")
    some = build.add(Take(0, (0, 1)), value, name="some")
    others = build.add(Take(0, tuple(range(2, 8))), value, name="others")
    total = build.add(Add(), layer(some, "a", 4, 2), layer(others, "b", 4, 6), name="sum")
    graph = build.build([layer(build.add(Clip(0.0), total, name="w"), "y", 4, 4)])
    data = rng.random((6, 3, 4, 4), np.float32)
    found = noise_of(graph, (data,), lambda value: 4)
    assert np.isnan(found["v"].channels).all()
    assert (found["w"].channels > 0).all()
    qcompiler.compile(graph, calibration=data, target="reference", t_max=4)


def test_what_has_no_columns_cannot_be_parted() -> None:
    """Neither groups of channels have any, nor does a vector of all elements of an image."""

    def made(op: Op, weight: Array) -> Graph:
        build = Builder("net")
        one, none = np.ones((4, 1, 1, 1), np.float32), np.zeros((4, 1, 1), np.float32)
        value = build.input("x", Tensor((1, 3, 3)))
        pixel = Conv((1, 1), (0, 0, 0, 0), (1, 1))
        value = build.add(pixel, value, Constant("a", one), Constant("b", none), name="first")
        value = build.add(Clip(0.0), value, name="relu")
        bias = np.zeros((2, *(1,) * (weight.ndim - 2)), np.float32)
        value = build.add(op, value, Constant("w", weight), Constant("c", bias), name="y")
        return build.build([value])

    pixel = Conv((1, 1), (0, 0, 0, 0), (1, 1))
    whole = made(pixel, np.ones((2, 4, 1, 1), np.float32))
    grouped = made(replace(pixel, groups=2), np.ones((2, 2, 1, 1), np.float32))
    flat = made(Dense(), np.ones((2, 36), np.float32))
    assert [can_split_channels(graph, of(graph, "relu")) for graph in (whole, grouped, flat)] == [
        True,
        False,
        False,
    ]


def test_an_affine_layer_has_a_diagonal_of_columns() -> None:
    build = Builder("net")
    value = build.input("x", Tensor((3, 2, 2)))
    scale, shift = (np.arange(3, dtype=np.float32).reshape(3, 1, 1) + n for n in (1, 0))
    build.add(Affine(), value, Constant("s", scale), Constant("t", shift), name="y")
    (node,) = build.nodes
    found = weights_by_channel(node)
    assert found is not None
    np.testing.assert_array_equal(found[..., 0, 0], np.diag([1, 2, 3]))


def test_names() -> None:
    name = slice_name(channels_name("a:channels", 12), 3)
    assert unsliced_name(name) == "a:channels:channels12"
    assert unsplit_name(name) == "a:channels"
    assert unsplit_name("a:channelsX") == "a:channelsX"
