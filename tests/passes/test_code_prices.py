"""Markers are neurons: what they must save, by the price of energy and by that of neurons."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.backends.energy.wiring import wiring_of
from qcompiler.ir.snn import Neuron, Population
from qcompiler.ir.spiking.integer_network import control_lines
from qcompiler.passes import Pipeline
from qcompiler.passes.scheduling.activity import activity
from qcompiler.passes.scheduling.frame_cost import UPDATE, clock_synapses, frame_cost
from qcompiler.passes.spiking.choose_codes import ChooseCodes
from qcompiler.passes.spiking.insert_readout import InsertReadout
from tests.support.random_networks import REFERENCE, compiled, random_batch, random_network
from tests.support.spiking import Net

INPUTS, HIDDEN = 30, 50
CODED = REFERENCE.replace("insert-readout", "choose-codes,insert-readout")


def hidden_code(price: str, *readers: int) -> str:
    """The code of a layer of which all levels are 0, and which so many neurons read.

    Further layers of further sizes read these.
    """
    net = Net(0)
    hidden = net.dense(net.input((INPUTS,), 4), HIDDEN, 4, bias=0)
    value = hidden
    for size in readers:
        value = net.dense(value, size, 4)
    graph = net.graph(value)
    zeros = (np.zeros((2, INPUTS), np.float32),)
    # A bias of 1 keeps bursts out, whose slopes it must hold.
    found = ChooseCodes(bias=1, price=price, calibration=zeros)(
        Pipeline.parse("assign-windows").run(graph)
    )
    return next(node.op.coding for node in found.nodes if isinstance(node.op, Neuron))


@pytest.mark.parametrize(
    ("readers", "energy", "neurons"),
    [
        (4, "one-spike", "one-spike"),  # a marker's updates cost more than its neuron's events
        (30, "silent", "one-spike"),  # less, but with 60 % more neurons
        (60, "silent", "one-spike"),  # more than that share, but not twice
        (600, "silent", "silent"),  # 8 % more neurons, half of the events
    ],
)
def test_markers_save_twice_the_share_that_they_add(
    readers: int, energy: str, neurons: str
) -> None:
    assert hidden_code("energy", readers) == energy
    assert hidden_code("neurons", readers) == neurons


@pytest.mark.parametrize(("price", "code"), [("energy", "silent"), ("neurons", "one-spike")])
def test_single_populations_have_markers_where_energy_counts(price: str, code: str) -> None:
    """The second layer's markers cost most, so not all have them, and frames come no faster."""
    assert hidden_code(price, 600, 4) == code


@pytest.mark.parametrize("code", ["one-spike", "silent", "burst"])
@pytest.mark.parametrize(("t_max", "bits", "most"), [(4, 8, 2), (16, 8, 2), (64, 16, 3)])
def test_all_synapses_of_clocks_are_counted(code: str, t_max: int, bits: int, most: int) -> None:
    """As many as a chip's matrices have: weights of one 8-bit synapse, of two, and of more."""
    largest = 0
    for seed in (4, 6, 9):
        graph = compiled(random_network(seed, 4), CODED, code=code, t_max=t_max, weight_bits=bits)
        expected = wiring_of(graph).clock_synapses
        for node in graph.nodes:
            if isinstance(node.op, Population):
                counts = clock_synapses([*control_lines(graph, node).values()])
                spread = [np.broadcast_to(count, node.result.type.shape) for count in counts]
                assert sum(map(np.sum, spread)) == expected.get(node.result.name, 0)
                largest = max(largest, *map(np.max, spread))
    assert largest >= most


@pytest.mark.parametrize("code", ["one-spike", "silent", "burst"])
def test_clocks_and_markers_are_updated_as_neurons_are(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_network(6, 4)
    batch = random_batch(graph, 6, frames=9)
    scheduled = compiled(graph, REFERENCE.replace(",insert-readout", ""))
    coded = ChooseCodes(code=code)(scheduled)
    finished, active = InsertReadout()(coded), activity(coded, (batch,))
    whole = frame_cost(finished, active)
    monkeypatch.setattr("qcompiler.passes.scheduling.frame_cost.UPDATE", 0)
    events, wiring = frame_cost(finished, active).energy, wiring_of(finished)
    assert whole.neurons == wiring.updated_neurons - wiring.clock_neurons
    updates = UPDATE * wiring.updated_neurons * wiring.interval
    assert whole.energy - events == pytest.approx(updates)


def test_a_price_has_a_name() -> None:
    with pytest.raises(ValueError, match="price must be one of neurons, energy, not time"):
        ChooseCodes(price="time")
