"""Digits and synapses where energy counts and levels are few: what a share of noise is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Add, Clip, Conv, Dense, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import layers, weight_of
from qcompiler.ir.types import size
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.slicing.bottlenecks import Bottleneck, slices_at
from qcompiler.passes.tensor.split_ranges import SplitRanges
from qcompiler.search.halves import Measuring
from tests.support.random_networks import compiled


def test_each_value_gets_what_pays_at_one_price() -> None:
    """The noise that is left elsewhere does not count, so none depends on the others."""
    loud = Bottleneck(np.array([8.0]), 1.0).with_digits(8, 0.0, True)
    quiet = Bottleneck(np.array([0.5]), 1.0).with_digits(8, 0.0, True)
    found = slices_at({"loud": loud, "quiet": quiet}, 1.0, 4)
    assert found == slices_at({"loud": loud}, 1.0, 4) | {"quiet": found["quiet"]}
    assert found["loud"].digits == 8 and found["quiet"].slices == 1
    assert slices_at({"quiet": quiet}, 0.25, 4)["quiet"].digits == 8
    with pytest.raises(ValueError, match="worth must be at least 0, not -1"):
        SplitRanges(worth=-1.0)


def pooled() -> Graph:
    """A value that a convolution reads, and one whose map is summed."""
    rng, build = np.random.default_rng(0), Builder("net")
    value = build.input("x", Tensor((2, 8, 8)))
    for name, channels in (("read", 2), ("summed", 8)):
        constants = (
            Constant(f"{name}:w", rng.normal(size=(8, channels, 3, 3)).astype(np.float32)),
            Constant(f"{name}:b", np.zeros((8, 1, 1), np.float32)),
        )
        conv = build.add(Conv((1, 1), (1,) * 4, (1, 1)), value, *constants, name=f"{name}:conv")
        value = build.add(Clip(0.0), conv, name=name)
    value = build.add(SumPool((8, 8), (0,) * 4, (1, 1), (8, 8)), value, name="pool")
    return build.build([build.add(Clip(0.0), value, name="end")])


def images(count: int = 40) -> Array:
    return np.random.default_rng(1).normal(size=(count, 2, 8, 8)).astype(np.float32)


def test_more_neurons_for_noise_that_is_worth_more() -> None:
    def neurons(worth: float) -> int:
        step = SplitRanges(t_max=8, effort=1, price="energy", worth=worth, calibration=(images(),))
        return sum(size(value.type) for value in spiking_values(step(pooled())))

    counts = [neurons(worth) for worth in (1e3, 0.3, 1e-3)]
    assert counts[0] < counts[1] < counts[2]
    assert counts[0] == sum(size(value.type) for value in spiking_values(pooled()))


def test_a_share_of_little_noise_is_worth_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def neurons() -> int:
        step = SplitRanges(t_max=8, effort=1, price="energy", worth=0.3, calibration=(images(),))
        return sum(size(value.type) for value in spiking_values(step(pooled())))

    noisy, whole = neurons(), sum(size(value.type) for value in spiking_values(pooled()))
    monkeypatch.setattr("qcompiler.passes.slicing.slice_choice._NOISY", 1e3)
    assert neurons() == whole < noisy


def with_shortcut() -> Graph:
    """A dense layer of small weights, and a shortcut past it."""
    rng, build = np.random.default_rng(0), Builder("net")
    value = build.input("x", Tensor((64,)))
    for name, spread in (("first", 0.3), ("second", 0.02)):
        weight = Constant(f"{name}:w", rng.normal(0, spread, (64, 64)).astype(np.float32))
        bias = Constant(f"{name}:b", np.zeros(64, np.float32))
        layer = build.add(Dense(), value, weight, bias, name=f"{name}:dense")
        if name == "second":
            layer = build.add(Add(), layer, value, name="sum")
        value = build.add(Clip(0.0), layer, name=name)
    return build.build([value])


def test_few_synapses_are_parallel_where_each_is_paid_for() -> None:
    """Weights beyond 8 bits are then two parts: multiples of 128, and the rest."""
    data = np.random.default_rng(3).normal(size=(50, 64)).astype(np.float32)

    def sums(options: str) -> tuple[int, list[Array]]:
        text = f"normalize,quantize{{{options}}}"
        made = compiled(with_shortcut(), text, calibration=(data,), t_max=8)
        parallel, totals = 0, []
        for layer in layers(made):
            by_source: dict[tuple[str, type], list[Array]] = {}
            for synapse in layer.synapses:
                weights = by_source.setdefault((synapse.operands[0].name, type(synapse.op)), [])
                weights.append(weight_of(synapse).astype(np.int64))
            parallel = max(parallel, *map(len, by_source.values()))
            totals += [np.sum(parts, axis=0) for parts in by_source.values()]
        return parallel, totals

    (many, before), (few, after) = sums(""), sums("spare=1.5")
    assert many > 2 >= few
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(("t_max", "spare", "worth"), [(8, 2.6, 0.5), (9, 2.0, 0.0)])
def test_few_levels_have_more_digits_and_fewer_synapses(
    t_max: int, spare: float, worth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Measuring, "least", lambda self, pipelines, objective: pipelines[0])
    seen: dict[str, Any] = {}
    qcompiler.compile(
        pooled(),
        calibration=images(),
        t_max=t_max,
        objective="energy",
        watch=lambda step, _: seen.update({step.name: step}),
    )
    assert seen["quantize"].spare == spare and seen["split-ranges"].worth == worth
