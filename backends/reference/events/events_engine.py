"""The events engine: what spikes and clocks cause, without looking at each neuron at each step.

Populations do not wait for each other: one after another gets all of its spikes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from qcompiler.backends.backend import Engine, Progress
from qcompiler.backends.host import Outcome
from qcompiler.backends.simulation import Reckoning, Simulation
from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First
from qcompiler.ir.spiking.coding import levels_sent
from qcompiler.ir.spiking.decoded_outputs import lower_pieces
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import bounds_of, spiking_nodes
from qcompiler.ir.types import size

from .event_populations import EventGate, EventPopulation

_AT_ONCE = 1 << 20  # currents held at once


class Golden(Engine, Protocol):
    """An engine that looks at each neuron at each step."""

    def simulate(self, *inputs: Array) -> Simulation:
        """What happens in these frames; raises ProgramError as a call does."""


class EventsEngine:
    """Simulates a compiled graph; the steps engine simulates frames that leave bounds again.

    ``golden`` is that engine. Raises ProgramError if scipy is missing.
    """

    def __init__(self, graph: Graph, golden: Golden) -> None:
        try:
            import scipy.sparse  # type: ignore[import, unused-ignore] # noqa: F401
        except ImportError as error:
            raise ProgramError(
                f"the engine events needs scipy: pip install 'qcompiler-snn[events]' ({error})"
            ) from error
        self.graph, self.golden, self.reckoning = graph, golden, Reckoning(graph)
        self.nodes, self.lower = spiking_nodes(graph), lower_pieces(graph)
        interval = frame_interval(graph)
        self.populations: dict[str, EventGate | EventPopulation] = {}
        most = 1
        for node in self.nodes:
            if isinstance(node.op, First):
                self.populations[node.result.name] = EventGate(graph, node)
            elif not isinstance(node.op, Encode):
                population = EventPopulation(graph, node, interval)
                self.populations[node.result.name] = population
                most = max(most, (1 + population.integrate.steps) * size(node.result.type))
        self.regular = all(population.regular for population in self.populations.values())
        self.frames = max(1, _AT_ONCE // most)

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch as the steps engine does, with the same spikes, counters and errors."""
        if not self.regular:
            return self.golden(*inputs, record=record, count=count, progress=progress)
        parts = [self._simulate(*part) for part in self._parts(inputs)]
        levels = {name: _joined([part[0][name] for part in parts]) for name in parts[0][0]}
        broken = np.concatenate([part[1] for part in parts])
        saturated = np.concatenate([part[2] for part in parts])
        found = self._with_broken(inputs, levels, broken, int(saturated[~broken].sum()))
        return self.reckoning(inputs, found, record)

    def _parts(self, inputs: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
        for begin in range(0, max(1, len(inputs[0])), self.frames):
            yield tuple(x[begin : begin + self.frames] for x in inputs)

    def _simulate(self, *inputs: Array) -> tuple[dict[str, Array], Array, Array]:
        """Levels, which frames are broken, and saturated neurons of each frame."""
        given = dict(zip((value.name for value in self.graph.inputs), inputs, strict=True))
        broken = np.zeros(len(inputs[0]), bool)
        saturated = np.zeros(len(inputs[0]), np.int64)
        spikes: dict[str, Array] = {}
        for node in self.nodes:
            name = node.result.name
            if name not in self.populations:
                encoded = levels_sent(node, given[node.operands[0].name])
                spikes[name] = encoded.astype(np.float32)
                continue
            spikes[name], faulty, beyond = self.populations[name](spikes)
            broken |= faulty
            if name not in self.lower:
                saturated += beyond
        return spikes, broken, saturated

    def _with_broken(
        self, inputs: tuple[Array, ...], levels: dict[str, Array], broken: Array, saturated: int
    ) -> Simulation:
        """The simulation with its broken frames as the steps engine has them."""
        bounded = [n.result.name for n in self.nodes if bounds_of(n) is not None]
        exceeded = {name: np.zeros(len(broken), bool) for name in bounded}
        if not broken.any():
            return Simulation(levels, levels, exceeded, saturated)
        again = self.golden.simulate(*(x[broken] for x in inputs))
        decoded = {name: q.copy() for name, q in levels.items()}
        for name in levels:
            levels[name][broken] = again.levels[name]
            decoded[name][broken] = again.decoded[name]
        for name in bounded:
            exceeded[name][broken] = again.exceeded[name]
        return Simulation(levels, decoded, exceeded, saturated + again.saturated)


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
