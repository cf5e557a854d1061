"""What a slice costs, in neurons or in energy, and where slices go by each price."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, Graph, Tensor, Value, drop_dead
from qcompiler.ir.ann import Clip, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.scheduling.frame_cost import UPDATE
from qcompiler.passes.slicing.slice_costs import slice_costs
from qcompiler.passes.tensor.split_ranges import SplitRanges

WIDE, NARROW = 400, 40


def uneven() -> Graph:
    """Values as large as each other behind few inputs, and behind many: `cheap` and `dear`."""
    rng, build = np.random.default_rng(0), Builder("net")

    def layer(value: Value, outputs: int, name: str) -> Value:
        weight = rng.normal(size=(outputs, *value.type.shape)) / value.type.shape[0] ** 0.5
        bias = Constant("b", np.zeros(outputs, np.float32))
        read = Constant("w", weight.astype(np.float32))
        return build.add(Dense(), value, read, bias, name=f"{name}:dense")

    value = build.input("x", Tensor((8,)))
    for name, count in (("cheap", NARROW), ("wide", WIDE), ("dear", NARROW)):
        value = build.add(Clip(0.0), layer(value, count, name), name=name)
    return build.build([layer(value, 4, "y")])


def samples() -> Array:
    return np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)


def test_energy_is_that_of_updates_and_of_events() -> None:
    graph = uneven()
    sizes = {"x": 8.0, "cheap": NARROW, "wide": WIDE, "dear": NARROW, "y:dense": 4}
    assert slice_costs(graph, 8, "neurons") == (sizes, sum(sizes.values()))
    found, whole = slice_costs(graph, 8, "energy")
    assert found["x"] == 0  # the host drives it
    longer, longest = slice_costs(graph, 16, "energy")
    assert found["cheap"] - found["dear"] == NARROW * (8 + WIDE - WIDE - 4) / 2
    neurons, synapses = sum(sizes.values()) - 8, NARROW * (8 + WIDE + WIDE + 4)
    assert whole == pytest.approx(synapses / 2 + (longest - whole) / (16 - 8) * 8)
    assert (longest - whole) * 23.6 == pytest.approx(81 * 16 * neurons, rel=0.02)
    for name in ("cheap", "wide", "dear"):
        steps = (longer[name] - found[name]) / sizes[name] / 16
        assert steps * 23.6 == pytest.approx(81, rel=0.02)  # an event and an update, in pJ


def test_weights_that_are_zero_cost_no_events() -> None:
    graph, nodes = uneven(), []
    for node in graph.nodes:
        if node.result.name == "wide:dense":
            value, _, bias = node.operands
            half = np.where(np.arange(NARROW) % 2, node.arrays[0], 0)
            node = replace(node, operands=(value, Constant("half", half), bias))
        nodes.append(node)
    whole, less = (
        slice_costs(g, 8, "energy").copies for g in (graph, replace(graph, nodes=tuple(nodes)))
    )
    assert whole["cheap"] - less["cheap"] == NARROW * WIDE / 4 == whole["wide"] - less["wide"]


def test_digits_of_inputs_and_pools_belong_to_a_copy() -> None:
    build = Builder("net")
    value = build.input("x", Tensor((1, 8, 8), t_max=8, digits=2))
    constants = (
        Constant("w", np.ones((2, 1, 1, 1), np.float32)),
        Constant("b", np.zeros((2, 1, 1), np.float32)),
    )
    value = build.add(
        Clip(0.0),
        build.add(Conv((1, 1), (0,) * 4, (1, 1)), value, *constants, name="y"),
        name="relu",
    )
    pooled = build.add(MaxPool((2, 2), (0,) * 4, (1, 1), (2, 2)), value, name="pool")
    found = [
        slice_costs(drop_dead(build.build([one])), 8, "energy").copies["relu"]
        for one in (value, pooled)
    ]
    update = 2 * 8 * UPDATE
    assert found == pytest.approx([128 * update + 2 * 128 / 2, (128 + 32) * update + 2 * 128 / 2])


def added(price: str, name: str) -> int:
    """Neurons that slices add to a value."""
    found = SplitRanges(t_max=8, effort=1, price=price, calibration=(samples(),))(uneven())
    sliced = (value for value in spiking_values(found) if value.name.startswith(name))
    return sum(size(value.type) for value in sliced) - NARROW


def test_few_neurons_of_many_inputs_are_cheap_by_neurons_and_dear_by_energy() -> None:
    assert added("energy", "cheap") > 0 and added("neurons", "cheap") > 0
    assert added("energy", "dear") < added("neurons", "dear") / 2


def test_a_price_has_a_name() -> None:
    with pytest.raises(ValueError, match="price must be one of neurons, energy, not time"):
        SplitRanges(price="time")
