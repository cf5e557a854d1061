"""The golden engine: currents and membranes, step by step.

Nothing here knows what the network is meant to compute: spikes leave, arrive one step later, add
their weights to persistent currents, and membranes cross thresholds.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from qcompiler.backends.backend import Progress
from qcompiler.backends.host import Outcome, finish, output_steps, saturated_inputs, static_counters
from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First
from qcompiler.ir.spiking.coding import digit_of, encode, step_of
from qcompiler.ir.spiking.integer_network import layer_of, spikes_of, spiking_nodes

from .neurons import Cell, Gate, Integrator, Source, Way, last_step


class StepsEngine:
    """Simulates a compiled graph, every population at every step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = spiking_nodes(graph)
        self.static = static_counters(graph)
        self.readers: dict[str, list[tuple[str, Way]]] = defaultdict(list)
        for node in self.nodes:
            for way in _ways(graph, node):
                self.readers[way.sender].append((node.result.name, way))
        self.end = max(last_step(node) for node in self.nodes) + 2

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch; ``record`` keeps the levels of every population.

        Frames that go beyond calibrated bounds are counted. There, a neuron may spike early (its
        recorded level is above the highest), or not at all (recorded as of a spike at step -1); to
        the host these are the highest level and 0. Raises ProgramError if that happens to a neuron
        in any other frame.
        """
        cells = {node.result.name: self._cell(node, len(inputs[0])) for node in self.nodes}
        counters = self.static.times(len(inputs[0]))
        for value, x in zip(self.graph.inputs, inputs, strict=True):
            self._load(cells, value, x)
        for step in range(self.end):
            for name, cell in cells.items():
                if (spikes := cell.step(step)) is not None:
                    for reader, way in self.readers[name]:
                        cells[reader].due[step + 1 + way.delay].append((way, spikes))
        beyond = {n: cell.watch.beyond for n, cell in cells.items() if cell.watch}
        exceeded = np.any([np.zeros(len(inputs[0]), bool), *beyond.values()], axis=0)
        levels = {name: cell.levels(exceeded) for name, cell in cells.items()}
        clipped = {name: cell.clipped(levels[name]) for name, cell in cells.items()}
        if beyond:
            counters.beyond = {name: int(frames.sum()) for name, frames in beyond.items()}
            counters.exceeded = int(exceeded.sum())
        counters.spikes = sum(int((cell.fired >= 0).sum()) for cell in cells.values())
        counters.saturated = saturated_inputs(self.graph, inputs)
        counters.saturated += sum(cell.saturated for cell in cells.values())
        counters.first, counters.last = output_steps(self.graph, clipped)
        outputs = finish(self.graph, clipped)
        return Outcome(outputs, levels if record else {}, counters)

    def _load(self, cells: dict[str, Cell], value: Value, x: Array) -> None:
        for node in self.graph.users(value):
            assert isinstance(node.op, Encode)
            source = cells[node.result.name]
            assert isinstance(source, Source)
            levels = digit_of(node.op, encode(node.op.code, x))
            source.times = step_of(spikes_of(node.result), node.op.start or 0, levels)

    def _cell(self, node: Node, batch: int) -> Cell:
        match node.op:
            case Encode():
                return Source(node, self.graph, batch)
            case First():
                return Gate(node, self.graph, batch)
            case _:
                return Integrator(node, self.graph, batch)


def _ways(graph: Graph, node: Node) -> list[Way]:
    """All ways into a population."""
    match node.op:
        case Encode():
            return []
        case First():
            return [Way(graph, node)]
        case _:
            return [Way(graph, synapse) for synapse in layer_of(graph, node).synapses]
