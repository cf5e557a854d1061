"""The reference model: currents and membranes, step by step.

The simulation does not use what the network computes: spikes arrive one step after they leave and
add their weights to persistent currents, and neurons fire when membranes cross their thresholds.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from qcompiler.backends.backend import Progress
from qcompiler.backends.host import Outcome
from qcompiler.backends.simulation import Reckoning, Simulation
from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First
from qcompiler.ir.spiking.coding import levels_sent
from qcompiler.ir.spiking.decoded_outputs import lower_pieces
from qcompiler.ir.spiking.frames import frame_interval, window_of
from qcompiler.ir.spiking.integer_network import layer_of, spiking_nodes
from qcompiler.ir.spiking.synapse_path import SynapsePath

from .population_dynamics import (
    FirstSpikePopulation,
    InputPopulation,
    IntegratingPopulation,
    SimulatedPopulation,
)


class StepsEngine:
    """Simulates a compiled graph step by step, every population that is not at rest."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = spiking_nodes(graph)
        self.reckoning = Reckoning(graph)
        self.lower = lower_pieces(graph)
        self.readers: dict[str, list[tuple[str, SynapsePath]]] = defaultdict(list)
        for node in self.nodes:
            for path in _synapse_paths(graph, node):
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
        return self.reckoning(inputs, self.simulate(*inputs), record)

    def simulate(self, *inputs: Array) -> Simulation:
        """Every spike of a batch; raises ProgramError as a call does."""
        frames = len(inputs[0])
        populations = {
            node.result.name: self._simulated_population(node, frames) for node in self.nodes
        }
        for value, x in zip(self.graph.inputs, inputs, strict=True):
            self._load_input(populations, value, x)
        for step in range(self.end):
            for name, population in populations.items():
                if population.rests(step):
                    continue
                spikes, markers = population.step(step), population.markers(step)
                if spikes is None and markers is None:
                    continue
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

    def _load_input(
        self, populations: dict[str, SimulatedPopulation], value: Value, x: Array
    ) -> None:
        for node in self.graph.users(value):
            assert isinstance(node.op, Encode)
            source = populations[node.result.name]
            assert isinstance(source, InputPopulation)
            source.encoded = levels_sent(node, x).astype(np.int64)

    def _simulated_population(self, node: Node, batch: int) -> SimulatedPopulation:
        match node.op:
            case Encode():
                return InputPopulation(node, self.graph, batch, self.interval)
            case First():
                return FirstSpikePopulation(node, self.graph, batch, self.interval)
            case _:
                return IntegratingPopulation(node, self.graph, batch, self.interval)


def _synapse_paths(graph: Graph, node: Node) -> list[SynapsePath]:
    """The paths of all spikes that reach a population."""
    match node.op:
        case Encode():
            return []
        case First():
            return [SynapsePath(graph, node)]
        case _:
            return [SynapsePath(graph, synapse) for synapse in layer_of(graph, node).synapses]
