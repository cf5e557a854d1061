"""Synaptic events of frames, by cause and by the population that they reach."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields

from qcompiler.backends.loihi.netlist.netlist import CLOCK

from .activity import Activity, sent
from .wiring import Wiring


@dataclass
class Events:
    """Events that reach a population by cause, and spikes that it sends.

    ``zeros`` and ``zero_spikes`` are the parts of ``data`` and ``spikes`` that say zero.
    ``clock_spikes`` are those of the clock itself.
    """

    data: float = 0.0
    zeros: float = 0.0
    clocks: float = 0.0
    inhibition: float = 0.0
    spikes: float = 0.0
    zero_spikes: float = 0.0
    clock_spikes: float = 0.0

    @property
    def total(self) -> float:
        """All synaptic events."""
        return self.data + self.clocks + self.inhibition

    def each(self, frames: int) -> Events:
        """The same for one of so many frames."""
        return Events(*(getattr(self, field.name) / frames for field in fields(self)))


def count_events(wiring: Wiring, activity: Activity, frames: int) -> dict[str, Events]:
    """Sums over frames by population, inputs included; those of `CLOCK` are the clock's own.

    Events of a sender are shared among its readers in proportion to their synapses; sums are exact.
    """
    found: dict[str, Events] = defaultdict(Events)
    for name, neurons in wiring.neurons.items():
        own, levels = found[name], activity[name]
        counts = levels.above_zero, levels.total
        spikes = sent(wiring.codings.get(name, "one-spike"), frames * neurons, *counts)
        own.spikes, own.zero_spikes = spikes
        own.inhibition = spikes.spikes * wiring.inhibition.get(name, 0) / neurons
        own.clocks = float(frames * wiring.clock_synapses.get(name, 0))
    for (source, target), synapses in wiring.data.items():
        levels, reached = activity[source], max(1, int(wiring.fan_out[source].sum()))
        weighted = levels.weighted_above_zero, levels.weighted_total
        all_events = sent(wiring.codings.get(source, "one-spike"), frames * reached, *weighted)
        found[target].data += all_events.spikes * synapses / reached
        found[target].zeros += all_events.zeros * synapses / reached
    found[CLOCK].clock_spikes = float(frames * wiring.clock_neurons)
    return dict(found)
