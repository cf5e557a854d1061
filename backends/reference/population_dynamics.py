"""Populations as the steps engine simulates them, neuron by neuron."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from qcompiler.ir import Graph, Node, ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First, Population, Window
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.coding import level_of
from qcompiler.ir.spiking.frames import neurons_of
from qcompiler.ir.spiking.integer_network import control_lines, layer_of, spikes_of
from qcompiler.ir.spiking.synapse_path import SynapsePath

from .bounds_monitor import BoundsMonitor

_BROKEN = -2  # the first spike of a burst that was interrupted


@dataclass
class SimulatedPopulation:
    """One population in simulation.

    ``spike_steps`` holds the step of each neuron's first spike, or -1; ``last_steps`` that of its
    last one; ``arrivals`` the spikes by arrival step; ``busy`` the steps of changes without any.
    """

    node: Node
    graph: Graph
    batch: int
    interval: int  # steps between two frames
    spike_steps: Array = field(init=False)
    last_steps: Array = field(init=False)
    arrivals: defaultdict[int, list[tuple[SynapsePath, Array]]] = field(init=False)
    saturated: int = 0
    monitor: BoundsMonitor | None = None
    busy: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.code = spikes_of(self.node.result)
        self.spike_steps = np.full((self.batch, *self.code.shape), -1, np.int64)
        self.last_steps = self.spike_steps.copy()
        self.arrivals = defaultdict(list)
        self.busy = {*range(self.begin, self.begin + self.code.top + 1)}

    def rests(self, step: int) -> bool:
        """Whether nothing reaches it at this step, and nothing changes: `step` may be left out."""
        return step not in self.busy and step not in self.arrivals

    def step(self, step: int) -> Array | None:
        """Advance by one step; return a mask of the neurons that fire, or None if none does."""
        raise NotImplementedError

    def fire(self, step: int, spikes: Array) -> Array | None:
        """Record spikes. More than one of a neuron must be a burst, without a break."""
        if not spikes.any():
            return None
        again, goes_on = self.spike_steps >= 0, self.last_steps == step - 1
        if self.code.coding != "burst":
            goes_on = np.zeros_like(again)
        self.spike_steps[spikes & again & ~goes_on] = _BROKEN
        self.spike_steps[spikes & ~again] = step
        self.last_steps[spikes] = step
        return spikes

    def markers(self, step: int) -> Array | None:
        """The markers that leave at this step, one for every neuron that has spiked."""
        if not CODES[self.code.coding].has_markers or step != self.begin + self.code.top:
            return None
        return self.spike_steps >= 0

    def levels(self, exceeded: Array) -> Array:
        """Levels of all neurons, ``frames x shape``.

        ``exceeded`` has one boolean per frame, true where calibrated bounds were exceeded. Raises
        ProgramError if in any other frame a neuron spikes outside its window, or a burst breaks.
        """
        code, begin = self.code, self.begin
        first, last = self.spike_steps[~exceeded], self.last_steps[~exceeded]
        if code.coding != "one-spike":
            spiking = first != -1
            first, last = first[spiking], last[spiking]
        if code.coding == "burst" and (last != begin + code.top - 1).any():
            raise ProgramError(f"bursts of %{self.node.result.name} miss the end of its window")
        if (first < begin).any() or (last > begin + code.top).any():
            raise ProgramError(f"neurons of %{self.node.result.name} spike outside their window")
        return level_of(code, begin, self.spike_steps)

    def clipped_levels(self, levels: Array) -> Array:
        """Levels as the host decodes them: early spikes give the highest level, missing ones 0."""
        result: Array = np.where(self.spike_steps < 0, 0, levels.clip(0, self.code.top))
        return result

    @property
    def begin(self) -> int:
        """The step of the highest level."""
        return last_step(self.node) - self.code.top


class InputPopulation(SimulatedPopulation):
    """Input spikes, from encoded data: ``encoded`` are the levels."""

    encoded: Array

    def step(self, step: int) -> Array | None:
        """Fire the neurons whose levels spike at this step."""
        sends = CODES[self.code.coding].sends
        return self.fire(step, sends(self.encoded, step - self.begin, self.code.top))


class FirstSpikePopulation(SimulatedPopulation):
    """Passes the first spike of each group."""

    def step(self, step: int) -> Array | None:
        """Fire where any neuron of the group did."""
        for path, spikes in self.arrivals.pop(step, ()):
            fired = path.propagate(spikes)
            if CODES[self.code.coding].gates_inhibit:
                fired = fired & (self.spike_steps < 0)
            return self.fire(step, fired)
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
        self.persistent = CODES[op.coding].keeps_currents
        self.reset = CODES[op.coding].reset_step(Window(*op.window))
        self.next_frame = op.window[0] + self.interval
        neurons = neurons_of(self.layer, Window(*op.window), self.interval)
        # Bounds are checked a step before the window, too.
        self.busy = {*range(op.window[0] - 1, max(op.window[2], self.next_frame) + 1)}
        self.busy |= self.control_currents.keys()
        self.own = CODES[op.coding].self_weight(neurons, self.control_currents, op.threshold)
        self.u = np.zeros(self.spike_steps.shape)
        self.v = np.zeros(self.spike_steps.shape)
        if self.layer.bounds is not None:
            self.monitor = BoundsMonitor(
                self.layer.bounds, Window(*op.window), self.spike_steps.shape, self.persistent
            )

    def step(self, step: int) -> Array | None:
        """``u += input; v += u``; fire above the threshold, once, or as long as bursts go on."""
        arrived: Array | float = 0.0
        if step in self.arrivals:
            arrived = sum(path.propagate(spikes) for path, spikes in self.arrivals.pop(step))
            self.u += arrived
        if self.monitor:
            self.monitor.observe(step, arrived)
        if step in self.control_currents:
            self.u += self.control_currents[step]
        if not self.persistent:
            return self.burst_step(step)
        opens, _, close = self.op.window
        if not opens <= step <= close or step == self.reset > opens:
            return None
        self.v += self.u
        if step == self.op.window[1]:
            beyond = self.v >= self.op.threshold + 1 + self.layer.slope
            self.saturated = int(beyond.sum())
        spikes = self.v > self.op.threshold
        if self.own.any():  # the inhibition lasts until the reset
            spikes &= self.spike_steps < 0
        self.v[spikes] = 0
        return self.fire(step, spikes)

    def burst_step(self, step: int) -> Array | None:
        """``v += input + D``, then forget the input; a spike resets v, and excites its neuron."""
        arrived, self.u = self.u, np.zeros_like(self.u)
        if not self.op.window[0] <= step < self.next_frame:
            return None
        self.v += arrived + self.layer.slope
        if step == self.op.window[1]:
            beyond = self.v >= self.op.threshold + 1 + self.layer.slope
            self.saturated = int(beyond.sum())
        spikes = self.v > self.op.threshold
        self.v[spikes] = 0
        self.u += spikes * self.own
        return self.fire(step, spikes)


def last_step(node: Node) -> int:
    """The step of the spike for level 0. Raises ProgramError if the node has no window yet."""
    match node.op:
        case Population(window=(_, _, close)):
            return close
        case Encode(start=int(start)) | First(start=int(start)):
            return start + spikes_of(node.result).top
    raise ProgramError(f"%{node.result.name} has no window: run assign-windows and insert-readout")
