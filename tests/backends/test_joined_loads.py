"""Projections of one geometry load cores as one projection of all their channels."""

from __future__ import annotations

import numpy as np

from qcompiler.backends.loihi.mapping.convolution_cost import ConvolutionCost, loads_of
from qcompiler.backends.loihi.mapping.core_grid import CoreGrid
from qcompiler.backends.loihi.netlist.netlist import Population, Synapses


def row(channels: int, delay: int = 0, largest: int = 100) -> Synapses:
    """A 3x3 convolution onto 6 channels."""
    weights = np.random.default_rng(channels).integers(-largest, largest, (6, channels, 3, 3))
    senders, ones = (channels, 5, 5), (1, 1)
    return Synapses(
        "x",
        "y",
        "kernel",
        weights,
        senders,
        None,
        delay,
        strides=ones,
        pads=ones * 2,
        dilations=ones,
    )


def test_convolutions_of_one_geometry_load_cores_as_one() -> None:
    """Each takes two parts where weights exceed 8 bits; one with delays stays apart."""
    group = Population("y", (6, 5, 5), True, 1, 0, 1, 2)
    rows = [row(2), row(3), row(4, largest=3000), row(5, delay=1)]
    costs = [ConvolutionCost(one, group) for one in rows]
    together = loads_of(costs)
    assert len(together) == 2
    for grid in (CoreGrid(6, 25), CoreGrid(6, 25, 2, 3), CoreGrid(6, 25, 4, 25)):
        for what in ("axons", "bits"):
            one, other = (
                sum(getattr(cost.load(grid), what) for cost in some) for some in (costs, together)
            )
            np.testing.assert_array_equal(one, other)
    assert [cost.senders for cost in costs[:2]] == [2, 3]
