"""Populations as the steps engine simulates them, neuron by neuron."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from qcompiler.ir import Graph, Node, ProgramError
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.snn import Connect, Convolve, Encode, First, Population, Relay, Window
from qcompiler.ir.spiking.coding import step_of
from qcompiler.ir.spiking.integer_network import (
    control_lines,
    layer_of,
    sender,
    spikes_of,
    weight_of,
)
from qcompiler.ir.spiking.synapse import current
from qcompiler.ir.view import View, arrange

from .bounds_monitor import BoundsMonitor


class SynapsePath:
    """The path of spikes from a population through views and a synapse or a pool."""

    def __init__(self, graph: Graph, node: Node) -> None:
        assert isinstance(node.op, Convolve | Connect | Relay | First)
        self.node, self.op = node, node.op
        self.delay = 0 if isinstance(node.op, First) else node.op.delay
        self.sender = sender(graph, node.operands[0]).result.name
        self.views: list[tuple[View, tuple[Array, ...]]] = []
        while (before := graph.producer(node.operands[0])) and isinstance(before.op, View):
            node = before
            self.views.insert(0, (before.op, before.arrays))

    def propagate(self, spikes: Array) -> Array:
        """The currents that spikes cause; for a pool, which groups contain a spike."""
        for view, constants in self.views:
            spikes = arrange(view, spikes, *constants)
        if isinstance(self.op, First):
            return pool_max(spikes, self.op, self.op.kernel, False)
        return current(self.op, spikes, weight_of(self.node))


@dataclass
class SimulatedPopulation:
    """One population in simulation.

    ``spike_steps`` holds each neuron's spike step, or -1; ``arrivals`` the spikes by arrival step.
    """

    node: Node
    graph: Graph
    batch: int
    spike_steps: Array = field(init=False)
    arrivals: defaultdict[int, list[tuple[SynapsePath, Array]]] = field(init=False)
    saturated: int = 0
    monitor: BoundsMonitor | None = None

    def __post_init__(self) -> None:
        self.spike_steps = np.full((self.batch, *spikes_of(self.node.result).shape), -1, np.int64)
        self.arrivals = defaultdict(list)

    def step(self, step: int) -> Array | None:
        """Advance by one step; return a mask of the neurons that fire, or None if none does."""
        raise NotImplementedError

    def fire(self, step: int, spikes: Array) -> Array | None:
        """Record spikes of neurons that have not fired yet."""
        spikes = spikes & (self.spike_steps < 0)
        if not spikes.any():
            return None
        self.spike_steps[spikes] = step
        return spikes

    def levels(self, exceeded: Array) -> Array:
        """Levels of all neurons, ``frames x shape``.

        ``exceeded`` has one boolean per frame, true where calibrated bounds were exceeded. Raises
        ProgramError if a neuron spikes outside its window in any other frame.
        """
        code, begin = spikes_of(self.node.result), self.begin
        spike_steps = self.spike_steps[~exceeded]
        if (spike_steps < begin).any() or (spike_steps > begin + code.top).any():
            raise ProgramError(f"neurons of %{self.node.result.name} spike outside their window")
        return step_of(code, begin, self.spike_steps)

    def clipped_levels(self, levels: Array) -> Array:
        """Levels as the host decodes them: early spikes give the highest level, missing ones 0."""
        code = spikes_of(self.node.result)
        result: Array = np.where(self.spike_steps < 0, 0, levels.clip(0, code.top))
        return result

    @property
    def begin(self) -> int:
        """The step of the highest level."""
        return last_step(self.node) - spikes_of(self.node.result).top


class InputPopulation(SimulatedPopulation):
    """Input spikes, from encoded data."""

    times: Array

    def step(self, step: int) -> Array | None:
        """Fire the neurons whose spike time is this step."""
        return self.fire(step, self.times == step)


class FirstSpikePopulation(SimulatedPopulation):
    """Passes the first spike of each group."""

    def step(self, step: int) -> Array | None:
        """Fire where any neuron of the group did."""
        for path, spikes in self.arrivals.pop(step, ()):
            return self.fire(step, path.propagate(spikes))
        return None


class IntegratingPopulation(SimulatedPopulation):
    """Currents and membranes of a population."""

    def __post_init__(self) -> None:
        super().__post_init__()
        op = self.node.op
        assert isinstance(op, Population)
        self.op = op
        self.control_currents = control_lines(self.graph, self.node)
        self.layer = layer_of(self.graph, self.node)
        self.u = np.zeros(self.spike_steps.shape)
        self.v = np.zeros(self.spike_steps.shape)
        if self.layer.bounds is not None:
            self.monitor = BoundsMonitor(
                self.layer.bounds, Window(*op.window), self.spike_steps.shape
            )

    def step(self, step: int) -> Array | None:
        """``u += input; v += u``; fire above the threshold, once."""
        arrived: Array | float = 0.0
        if step in self.arrivals:
            arrived = sum(path.propagate(spikes) for path, spikes in self.arrivals.pop(step))
            self.u += arrived
        if self.monitor:
            self.monitor.observe(step, arrived)
        if step in self.control_currents:
            self.u += self.control_currents[step]
        if step < self.op.window[0] or step > self.op.window[2]:
            return None
        self.v += self.u
        if step == self.op.window[1]:
            beyond = self.v >= self.op.threshold + 1 + self.layer.slope
            self.saturated = int(beyond.sum())
        return self.fire(step, self.v > self.op.threshold)


def last_step(node: Node) -> int:
    """The step of the spike for level 0. Raises ProgramError if the node has no window yet."""
    match node.op:
        case Population(window=(_, _, close)):
            return close
        case Encode(start=int(start)) | First(start=int(start)):
            return start + spikes_of(node.result).top
    raise ProgramError(f"%{node.result.name} has no window: run assign-windows and insert-readout")
