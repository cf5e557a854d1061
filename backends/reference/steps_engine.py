"""The reference model: currents and membranes, step by step.

The simulation does not use what the network computes: spikes arrive one step after they leave and
add their weights to persistent currents, and neurons fire when membranes cross their thresholds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qcompiler.backends.backend import Progress
from qcompiler.backends.energy.activity import count_levels
from qcompiler.backends.energy.wiring import wiring_of
from qcompiler.backends.host import (
    Counters,
    Outcome,
    coded_values,
    decode_outputs,
    output_steps,
    saturated_inputs,
)
from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First
from qcompiler.ir.spiking.coding import Rescaling, clip_to_levels, digit_of, scale_to_levels
from qcompiler.ir.spiking.frames import frame_interval, window_of
from qcompiler.ir.spiking.integer_network import layer_of, lower_pieces, spiking_nodes

from .population_dynamics import (
    FirstSpikePopulation,
    InputPopulation,
    IntegratingPopulation,
    SimulatedPopulation,
    SynapsePath,
)


class Simulation(NamedTuple):
    """Levels of every population, ``frames x shape``, as recorded and as the host decodes them.

    ``exceeded`` has one boolean per frame for each population with calibrated bounds.
    ``saturated`` counts neurons above the highest level.
    """

    levels: Mapping[str, Array]
    decoded: Mapping[str, Array]
    exceeded: Mapping[str, Array]
    saturated: int


class StepsEngine:
    """Simulates a compiled graph, every population at every step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = spiking_nodes(graph)
        self.wiring, self.coded = wiring_of(graph), coded_values(graph)
        self.lower = lower_pieces(graph)
        self.readers: dict[str, list[tuple[str, SynapsePath]]] = defaultdict(list)
        for node in self.nodes:
            for path in synapse_paths(graph, node):
                self.readers[path.sender].append((node.result.name, path))
        self.interval = frame_interval(graph)
        self.end = max(window_of(node).open + self.interval for node in self.nodes)

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch; ``record`` keeps the levels of every population.

        Counts the frames that exceed calibrated bounds. In these frames a neuron may spike early:
        its recorded level is then above the highest level, and the host decodes the highest level.
        It may also not spike: the recorded spike step is then -1, and the host decodes 0. Raises
        ProgramError if a neuron spikes outside its window in any other frame.
        """
        return self.outcome(inputs, self.simulate(*inputs), record)

    def simulate(self, *inputs: Array) -> Simulation:
        """Every population at every step; raises ProgramError as a call does."""
        frames = len(inputs[0])
        populations = {
            node.result.name: self._simulated_population(node, frames) for node in self.nodes
        }
        for value, x in zip(self.graph.inputs, inputs, strict=True):
            self._load_input(populations, value, x)
        for step in range(self.end):
            for name, population in populations.items():
                spikes, markers = population.step(step), population.markers(step)
                for reader, path in self.readers[name]:
                    arrivals = populations[reader].arrivals[step + 1 + path.delay]
                    if spikes is not None:
                        arrivals.append((path, spikes))
                    if markers is not None and not isinstance(path.op, First):
                        arrivals.append((path, -markers.astype(np.int64)))
        exceeded_by_name = {
            n: population.monitor.exceeded
            for n, population in populations.items()
            if population.monitor
        }
        exceeded = np.any([np.zeros(frames, bool), *exceeded_by_name.values()], axis=0)
        levels = {name: population.levels(exceeded) for name, population in populations.items()}
        decoded = {
            name: population.clipped_levels(levels[name])
            for name, population in populations.items()
        }
        saturated = sum(
            population.saturated
            for name, population in populations.items()
            if name not in self.lower
        )
        return Simulation(levels, decoded, exceeded_by_name, saturated)

    def outcome(
        self, inputs: tuple[Array, ...], simulation: Simulation, record: bool = False
    ) -> Outcome:
        """What a call returns, from a simulation of these inputs."""
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
        outputs = decode_outputs(self.graph, simulation.decoded)
        return Outcome(outputs, dict(simulation.levels) if record else {}, counters)

    def _load_input(
        self, populations: dict[str, SimulatedPopulation], value: Value, x: Array
    ) -> None:
        for node in self.graph.users(value):
            assert isinstance(node.op, Encode)
            source = populations[node.result.name]
            assert isinstance(source, InputPopulation)
            source.encoded = encoded_levels(node, x).astype(np.int64)

    def _simulated_population(self, node: Node, batch: int) -> SimulatedPopulation:
        match node.op:
            case Encode():
                return InputPopulation(node, self.graph, batch, self.interval)
            case First():
                return FirstSpikePopulation(node, self.graph, batch, self.interval)
            case _:
                return IntegratingPopulation(node, self.graph, batch, self.interval)


def encoded_levels(node: Node, x: Array) -> Array:
    """The levels, or the digits of them, that an encoder sends for these inputs."""
    assert isinstance(node.op, Encode)
    code = node.op.code
    return digit_of(node.op, clip_to_levels(code, scale_to_levels(code, x, Rescaling.of(node))))


def synapse_paths(graph: Graph, node: Node) -> list[SynapsePath]:
    """The paths of all spikes that reach a population."""
    match node.op:
        case Encode():
            return []
        case First():
            return [SynapsePath(graph, node)]
        case _:
            return [SynapsePath(graph, synapse) for synapse in layer_of(graph, node).synapses]
