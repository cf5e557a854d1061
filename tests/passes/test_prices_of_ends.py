"""Prices of weights in networks of several outputs, and of values whose noise no output hears."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Clip, Dense
from qcompiler.passes.integers.weight_prices import weight_prices
from qcompiler.passes.tensor.normalize import Normalize
from tests.passes.test_cheap_ends import samples
from tests.support.random_networks import compiled


def two_ends(bias: float = 0.0) -> Graph:
    """A hidden value that is an output, and is read by another one."""
    rng, build = np.random.default_rng(0), Builder("net")
    x = build.input("x", Tensor((8,)))
    for name, outs, ins in (("hidden", 12, 8), ("y", 3, 12)):
        weight = (rng.standard_normal((outs, ins)) / np.sqrt(ins)).astype(np.float32)
        offset = np.full(outs, bias if name == "hidden" else 0.0, np.float32)
        parts = Constant(f"{name}:w", weight), Constant(f"{name}:b", offset)
        x = build.add(Dense(), x, *parts, name=f"{name}:sum" if name == "hidden" else name)
        if name == "hidden":
            x = hidden = build.add(Clip(0.0), x, name="hidden")
    return build.build([x, hidden], ["scores", "features"])


def test_an_output_that_another_reads_has_a_price() -> None:
    data = (samples(60, 8),)
    graph = Normalize(calibration=data)(two_ends())
    prices = weight_prices(graph, data, 16, {})
    assert set(prices) == {"hidden", "y"} and min(prices.values()) > 0
    made = compiled(graph, "quantize{effort=1 prune=0.1 spare=3.0}", calibration=data, t_max=16)
    assert [value.type.shape for value in made.outputs] == [(3,), (12,)]


def test_what_no_output_hears_has_no_price() -> None:
    """Neurons that never leave 0 on the data: their noise is hidden by the clip."""
    data = (samples(60, 8),)
    graph = Normalize(calibration=data)(two_ends())
    dead = Normalize(calibration=data)(two_ends(bias=-100.0))
    assert "hidden" in weight_prices(graph, data, 16, {})
    assert "hidden" not in weight_prices(dead, data, 16, {})


def test_layers_of_two_levels_and_one_range_have_prices() -> None:
    """Each spans a level of the one that it reads, as a finer digit does."""
    build, data = Builder("net"), (samples(60, 4),)
    x = build.input("x", Tensor((4,)))
    names = [f"relu{at}" for at in range(3)]
    for name in names:
        parts = Constant(f"{name}:w", np.eye(4, dtype=np.float32)), Constant("b", np.zeros(4, "f4"))
        x = build.add(Clip(0.0, 0.5), build.add(Dense(), x, *parts, name=f"{name}:sum"), name=name)
    graph = Normalize(calibration=data)(build.build([x]))
    assert set(weight_prices(graph, data, 2, {})) == set(names)
