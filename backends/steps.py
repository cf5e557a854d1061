"""The golden engine: currents and membranes, step by step.

Nothing here knows what the network is meant to compute: spikes leave, arrive one step later, add
their weights to persistent currents, and membranes cross thresholds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Graph, Node, ProgramError, Value
from qcompiler.ir.coding import encode, step_of
from qcompiler.ir.integer import (
    connection,
    control_lines,
    layer_of,
    sender,
    spikes_of,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.snn import Connect, Convolve, Encode, First, Population, Relay, Window
from qcompiler.ir.synapse import current
from qcompiler.ir.view import View, arrange

from .host import Outcome, finish, output_steps, saturated_inputs, static_counters
from .watch import Watch

# Spikes of every population that sent any: of the step before this one, of the one before that, ..
Flying: TypeAlias = "deque[dict[str, Array]]"


class StepsEngine:
    """Simulates a compiled graph, every population at every step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = spiking_nodes(graph)
        self.static = static_counters(graph)
        self.longest = 1 + max((_delay(node) for node in graph.nodes), default=0)
        self.end = max(_last_step(node) for node in self.nodes) + 2

    def __call__(self, *inputs: Array, record: bool = False) -> Outcome:
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
        flying: Flying = deque([{}], maxlen=self.longest)
        for step in range(self.end):
            fired = {name: cell.step(step, flying) for name, cell in cells.items()}
            flying.appendleft({n: spikes for n, spikes in fired.items() if spikes is not None})
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
            code = spikes_of(node.result)
            source.times = step_of(code, node.op.start or 0, encode(code, x))

    def _cell(self, node: Node, batch: int) -> Cell:
        match node.op:
            case Encode():
                return Source(node, self.graph, batch)
            case First():
                return Gate(node, self.graph, batch)
            case _:
                return Integrator(node, self.graph, batch)


def _delay(node: Node) -> int:
    """The delay of a synapse; 0 for everything else."""
    return node.op.delay if isinstance(node.op, Convolve | Connect | Relay) else 0


def _last_step(node: Node) -> int:
    match node.op:
        case Population(window=(_, _, close)):
            return close
        case Encode(start=int(start)) | First(start=int(start)):
            return start + spikes_of(node.result).top
    raise ProgramError(f"%{node.result.name} has no window: run assign-windows and insert-readout")


@dataclass
class Cell:
    """One population in simulation; ``fired`` holds each neuron's spike step, or -1."""

    node: Node
    graph: Graph
    batch: int
    fired: Array = field(init=False)
    saturated: int = 0
    watch: Watch | None = None

    def __post_init__(self) -> None:
        self.fired = np.full((self.batch, *spikes_of(self.node.result).shape), -1, np.int64)

    def step(self, step: int, flying: Flying) -> Array | None:
        """Advance one step on the spikes that are on their way; return which neurons fire now."""
        raise NotImplementedError

    def fire(self, step: int, spikes: Array) -> Array | None:
        """Record spikes of neurons that have not fired yet."""
        spikes = spikes & (self.fired < 0)
        if not spikes.any():
            return None
        self.fired[spikes] = step
        return spikes

    def levels(self, exceeded: Array) -> Array:
        """Levels of all neurons; ProgramError if one is outside the window in a frame not listed.

        ``exceeded`` lists the frames that went beyond calibrated bounds, as one truth value each.
        """
        code, begin = spikes_of(self.node.result), self.begin
        fired = self.fired[~exceeded]
        if (fired < begin).any() or (fired > begin + code.top).any():
            raise ProgramError(f"neurons of %{self.node.result.name} spike outside their window")
        return step_of(code, begin, self.fired)

    def clipped(self, levels: Array) -> Array:
        """Levels as the host takes them: early spikes are the highest, missing ones the lowest."""
        code = spikes_of(self.node.result)
        result: Array = np.where(self.fired < 0, 0, levels.clip(0, code.top))
        return result

    @property
    def begin(self) -> int:
        """The step of the highest level."""
        return _last_step(self.node) - spikes_of(self.node.result).top

    def arrived(self, flying: Flying, operand: Value, delay: int = 0) -> Array | None:
        """Spikes of an operand that arrive now, arranged as the operand is."""
        if delay >= len(flying):
            return None
        spikes = flying[delay].get(sender(self.graph, operand).result.name)
        return None if spikes is None else self.arranged(operand, spikes)

    def arranged(self, operand: Value, array: Array) -> Array:
        """An array over the sending population, behind the views between it and the operand."""
        node = self.graph.producer(operand)
        if node is None or not isinstance(node.op, View):
            return array
        source = node.operands[0]
        assert isinstance(source, Value)
        return arrange(node.op, self.arranged(source, array), *node.arrays)


class Source(Cell):
    """Input spikes, from encoded data."""

    times: Array

    def step(self, step: int, flying: Flying) -> Array | None:
        """Send the neurons whose time has come."""
        return self.fire(step, self.times == step)


class Gate(Cell):
    """Passes the first spike of each group."""

    def step(self, step: int, flying: Flying) -> Array | None:
        """Fire where any neuron of the group did."""
        op, source = self.node.op, self.node.operands[0]
        assert isinstance(op, First) and isinstance(source, Value)
        spikes = self.arrived(flying, source)
        if spikes is None:
            return None
        return self.fire(step, pool_max(spikes, op, op.kernel, False))


class Integrator(Cell):
    """Currents and membranes of a population."""

    def __post_init__(self) -> None:
        super().__post_init__()
        op = self.node.op
        assert isinstance(op, Population)
        self.op = op
        self.lines = control_lines(self.graph, self.node)
        self.layer = layer_of(self.graph, self.node)
        self.u = np.zeros(self.fired.shape)
        self.v = np.zeros(self.fired.shape)
        if self.layer.bounds is not None:
            self.watch = Watch(self.layer.bounds, Window(*op.window), self.fired.shape)

    def step(self, step: int, flying: Flying) -> Array | None:
        """``u += input; v += u``; fire above the threshold, once."""
        arrived: Array | float = 0.0
        for synapse in self.layer.synapses:
            source = synapse.operands[0]
            assert isinstance(source, Value)
            kind = connection(synapse)
            if (spikes := self.arrived(flying, source, kind.delay)) is not None:
                arrived = arrived + current(kind, spikes, weight_of(synapse))
        self.u += arrived
        if self.watch:
            self.watch.take(step, arrived)
        if step in self.lines:
            self.u += self.lines[step]
        if step < self.op.window[0] or step > self.op.window[2]:
            return None
        self.v += self.u
        if step == self.op.window[1]:
            beyond = self.v >= self.op.threshold + 1 + self.layer.slope
            self.saturated = int(beyond.sum())
        return self.fire(step, self.v > self.op.threshold)
