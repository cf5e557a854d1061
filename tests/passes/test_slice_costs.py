"""What a slice costs, in neurons or in energy, and where slices go by each price."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, Graph, Tensor, Value
from qcompiler.ir.ann import Clip, Dense
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.passes.quantization.levels import spiking_values
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
