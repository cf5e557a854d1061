"""What simulations of spikes find, and the outcome that engines make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import spiking_nodes

from .counting import coded_values, output_steps, saturated_inputs
from .energy.activity import count_levels
from .energy.wiring import wiring_of
from .host import Counters, HostTail, Outcome


class Simulation(NamedTuple):
    """Levels of every population, ``frames x shape``, as recorded and as the host decodes them.

    ``exceeded`` has one boolean per frame for each population with calibrated bounds.
    ``saturated`` counts neurons above the highest level.
    """

    levels: Mapping[str, Array]
    decoded: Mapping[str, Array]
    exceeded: Mapping[str, Array]
    saturated: int


class Reckoning:
    """Decodes the outputs of simulations of a graph, and counts."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.wiring, self.coded = graph, wiring_of(graph), coded_values(graph)
        self.tail = HostTail(graph, [node.result.name for node in spiking_nodes(graph)])

    def __call__(
        self, inputs: tuple[Array, ...], simulation: Simulation, record: bool = False
    ) -> Outcome:
        """The outcome for these inputs."""
        frames = len(inputs[0])
        counters = Counters(frames, coded=frames * self.coded)
        if simulation.exceeded:
            counters.exceeded_by_population = {
                name: int(frames.sum()) for name, frames in simulation.exceeded.items()
            }
            counters.exceeded = int(np.any([*simulation.exceeded.values()], axis=0).sum())
        counters.count(self.wiring, count_levels(simulation.decoded, self.wiring))
        counters.saturated = saturated_inputs(self.graph, inputs) + simulation.saturated
        counters.first, counters.last = output_steps(self.graph, simulation.decoded)
        outputs = self.tail(simulation.decoded)
        recorded = simulation.levels.items() if record else ()
        levels = {name: found.astype(np.int64, copy=False) for name, found in recorded}
        return Outcome(outputs, levels, counters)
