"""A netlist as Brian2 objects.

A step is a time step of 1 ms. All variables are 64-bit integers, and steps are counted by
``t_in_timesteps``, so that no number is ever rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import synapse_triples

NEURONS = """
u : integer                # the current, in units of weights
v : integer                # the membrane
arrived : integer          # what spikes of the step before have added
bias : integer (constant)  # added at every step
"""
STEP = """
begun = int(t_in_timesteps >= opens)
keep = int((t_in_timesteps - resets) % interval != 0)
u = begun * (arrived + persistent * keep * u)
v = keep * v + begun * (u + bias)
arrived = 0
"""
CLOCKS = """
tick : integer (constant)  # the step of a frame at which its spike arrives
"""
TICKING = "t_in_timesteps + 1 >= tick and (t_in_timesteps + 1 - tick) % interval == 0"


class Brian2Network:
    """The Brian2 objects of a netlist; ``network`` runs them and ``groups`` holds them by name.

    ``spikes_at`` returns the spikes of each input at a step, 0.0 or 1.0 per neuron, flat. It is
    asked for so many ``steps``. ``record`` names the populations that ``monitors`` observe. This
    sets Brian2's default clock and its preference for numpy.
    """

    def __init__(
        self,
        netlist: Netlist,
        arrays: Mapping[str, Any],
        spikes_at: Mapping[str, Callable[[int], Any]],
        steps: int,
        record: Sequence[str],
    ) -> None:
        from brian2 import Network, SpikeMonitor, defaultclock, ms, prefs

        defaultclock.dt = 1 * ms
        prefs.codegen.target = "numpy"  # which needs no compiler
        self.netlist, self.arrays, self.steps = netlist, arrays, steps
        self.groups = {name: _input(sent, steps) for name, sent in spikes_at.items()}
        self.groups |= {group.name: self._neurons(group) for group in netlist.populations}
        if netlist.ticks:
            self.groups[CLOCK] = self._clocks()
        sizes = {group.name: group for group in netlist.populations}
        made = (self._connection(row, sizes[row.target]) for row in netlist.synapses)
        self.synapses = [connection for connection in made if connection is not None]
        self.monitors = {name: SpikeMonitor(self.groups[name]) for name in record}
        objects = (*self.groups.values(), *self.synapses, *self.monitors.values())
        self.network = Network(*objects)

    def _array(self, given: Any) -> Any:
        return self.arrays[given] if isinstance(given, str) else given

    def _neurons(self, group: Population) -> Any:
        from brian2 import NeuronGroup

        neurons = NeuronGroup(
            group.size,
            NEURONS,
            threshold="v > theta",
            reset="v = 0",
            dtype=dict.fromkeys(("u", "v", "arrived", "bias"), np.int64),
            namespace={
                "theta": group.threshold,
                "persistent": int(group.persistent),
                "opens": group.open,
                "resets": group.open if group.reset < 0 else group.reset,
                "interval": self.netlist.interval,
            },
        )
        neurons.run_regularly(STEP)
        if group.bias is not None:
            neurons.bias = np.broadcast_to(self._array(group.bias), group.shape).ravel()
        return neurons

    def _clocks(self) -> Any:
        """One neuron per clock tick, which spikes once per frame, a step before it arrives."""
        from brian2 import NeuronGroup

        ticks, namespace = self.netlist.ticks, {"interval": self.netlist.interval}
        options = {"threshold": TICKING, "reset": "", "namespace": namespace}
        clocks = NeuronGroup(len(ticks), CLOCKS, **options)
        clocks.tick = np.array(ticks)
        return clocks

    def _connection(self, row: Synapses, target: Population) -> Any:
        """Synapses; a spike of step i is added behind step i + delay, and counts one later.

        None if all weights are 0.
        """
        from brian2 import Synapses as Connection
        from brian2 import ms

        held = replace(row, weights=self._array(row.weights), order=self._array(row.order))
        sending, receiving, weights = self._triples(held, target.shape)
        if not len(weights):
            return None
        connection = Connection(
            self.groups[row.source],
            self.groups[row.target],
            "w : integer (constant)",
            on_pre="arrived_post += w",
            delay=row.delay * ms,
            dtype={"w": np.int64},
        )
        connection.connect(i=sending, j=receiving)
        connection.w = weights
        return connection

    def _triples(self, row: Synapses, shape: tuple[int, ...]) -> Any:
        """Sending neuron, receiving neuron and weight of every synapse, as three arrays."""
        if row.kind != "clock":
            return synapse_triples(row, shape)
        numbers = np.array([self.netlist.ticks.index(tick) for tick in row.ticks])
        weights = np.broadcast_to(row.weights, (len(row.ticks), *shape)).reshape(len(numbers), -1)
        line, receiving = weights.nonzero()
        return numbers[line], receiving, weights[line, receiving]

    def run(self) -> Iterator[dict[str, Any]]:
        """Run all steps; then yields the spikes of each by recorded population."""
        from brian2 import ms

        self.network.run(self.steps * ms)
        found = {name: _by_step(monitor, self.steps) for name, monitor in self.monitors.items()}
        for step in range(self.steps):
            yield {name: spikes(step) for name, spikes in found.items()}


def _input(spikes_at: Callable[[int], Any], steps: int) -> Any:
    """Neurons that send given spikes."""
    from brian2 import SpikeGeneratorGroup, ms

    sent = [np.flatnonzero(spikes_at(step)) for step in range(steps)]
    times = np.repeat(np.arange(steps), [len(neurons) for neurons in sent])
    return SpikeGeneratorGroup(np.size(spikes_at(0)), np.concatenate(sent), times * ms)


def _by_step(monitor: Any, steps: int) -> Callable[[int], Any]:
    """What a monitor saw at each step, 0.0 or 1.0 per neuron."""
    from brian2 import ms

    neurons, times = np.asarray(monitor.i), np.rint(monitor.t / ms).astype(np.int64)
    ends = np.searchsorted(times, np.arange(steps + 1))
    size = len(monitor.source)

    def spikes(step: int) -> Any:
        found = np.zeros(size)
        found[neurons[ends[step] : ends[step + 1]]] = 1
        return found

    return spikes
