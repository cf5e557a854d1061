"""Markers are neurons: what they must save, by the price of energy and by that of neurons."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir.snn import Neuron
from qcompiler.passes import Pipeline
from qcompiler.passes.spiking.choose_codes import ChooseCodes
from tests.support.spiking import Net

INPUTS, HIDDEN = 30, 50


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
        (10, "one-spike", "one-spike"),  # a marker's updates cost more than its neuron's events
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


def test_a_price_has_a_name() -> None:
    with pytest.raises(ValueError, match="price must be one of neurons, energy, not time"):
        ChooseCodes(price="time")
