"""The energy and time of a frame: counts of operations times what a cost model says of each.

    updates     every neuron of a population, at every step
    data        synaptic events of spikes that carry values, and sending these spikes
    zeros       the part of data that says of a value that it is zero
    clocks      synaptic events of the clock's spikes, and sending them
    inhibition  synaptic events of spikes at the neurons that sent them

Energy is that of operations: updates, data, clocks and inhibition. Static energy, of the power of
all cores at rest, stands apart and counts in the power and in the energy-delay product.

Frames that follow each other as fast as the network takes them (streaming) cost the updates of one
frame interval each; a frame that is alone costs those of its whole latency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .activity import Activity
from .causes import Causes
from .cores import Cores, messages_of
from .cost_model import CostModel
from .events import Events, count_events
from .times import Times, times_of
from .wiring import Wiring

_UJ_PER_PJ = 1e-6
_UJ_PER_MW_US = 1e-3


@dataclass(frozen=True)
class Measurement:
    """Where an activity is from, and the sums of levels over how many frames."""

    activity: Activity
    frames: int
    basis: Literal["data", "calibration", "assumed"]


@dataclass(frozen=True)
class Estimate:
    """A frame on average, by a cost model.

    ``populations`` holds the energy by population: updates and arriving events, and what sending
    spikes takes. ``events`` counts synaptic events, ``arriving`` those by population, ``updates``
    those of neurons in a frame interval. ``alone`` is the energy of a frame that no other follows.
    ``cores`` are None if the model has neither times nor a price of messages, ``times`` without the
    former. ``nonzero`` is the share of values
    above level 0.
    """

    wiring: Wiring
    model: CostModel
    basis: str
    frames: int
    nonzero: float
    populations: Mapping[str, Causes]
    events: float
    updates: int
    alone: float
    cores: Cores | None = None
    times: Times | None = None
    arriving: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        energy, latency = f"{self.causes.total:.3g} uJ a frame", f"{self.wiring.latency} steps"
        if self.times:
            energy += f", one every {self.times.frame_us:.3g} us"
            latency = f"{self.times.latency_us:.3g} us"
        return f"<Estimate by {self.model.name}: {energy}, latency {latency}>"

    @property
    def causes(self) -> Causes:
        """The energy of all populations."""
        found = zip(*(vars(causes).values() for causes in self.populations.values()), strict=True)
        return Causes(*map(sum, found))

    def static_uj(self, microseconds: float) -> float:
        """Energy of all cores at rest for this time."""
        cores = self.cores.total if self.cores else 0
        return cores * self.model.static_mw * microseconds * _UJ_PER_MW_US

    @property
    def delay_product(self) -> float | None:
        """Energy of a streaming frame with static, times latency, in uJs; None without times."""
        if self.times is None:
            return None
        static = self.static_uj(self.times.frame_us)
        return (self.causes.total + static) * self.times.latency_us * 1e-6

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON data; None where the model has no times."""
        times, causes = self.times, self.causes
        found: dict[str, Any] = {
            "energy_uj": {**causes.to_dict(), "static": None},
            "edp_ujs": None,
            "frame_us": None,
            "latency_us": None,
            "power_mw": None,
            "energy_cores": None,
            "neuron_updates_per_frame": self.updates,
            "energy_model": self.model.name,
            "activity": {"basis": self.basis, "frames": self.frames, "nonzero": self.nonzero},
        }
        if times is None:
            return found
        static = self.static_uj(times.frame_us)
        power = (causes.total + static) / times.frame_us if times.frame_us else 0.0
        one = self.alone + self.static_uj(times.latency_us)
        return found | {
            "energy_uj": {**causes.to_dict(), "static": static},
            "edp_ujs": {"streaming": self.delay_product, "single": one * times.latency_us * 1e-6},
            "frame_us": times.frame_us,
            "latency_us": times.latency_us,
            "power_mw": power / _UJ_PER_MW_US,
            "energy_cores": self.cores.total if self.cores else None,
        }


def estimate(
    wiring: Wiring, measured: Measurement, model: CostModel, placements: Sequence[Cores] = ()
) -> Estimate:
    """What an average frame costs, on the cores that make the energy-delay product least.

    That is the product of streaming; without times it is the energy. Without ``placements`` only
    the energy is known, of one message for each spike.
    """
    counted = count_events(wiring, measured.activity, measured.frames)
    events = {name: found.each(measured.frames) for name, found in counted.items()}
    ways = [_estimate(wiring, measured, model, events, cores) for cores in placements or (None,)]
    return min(ways, key=lambda one: one.delay_product or one.causes.total)


def _estimate(
    wiring: Wiring,
    measured: Measurement,
    model: CostModel,
    events: Mapping[str, Events],
    cores: Cores | None,
) -> Estimate:
    populations = {
        name: _causes(wiring, name, found, model, messages_of(cores, name))
        for name, found in events.items()
    }
    update = model.update_pj * _UJ_PER_PJ * wiring.updated_neurons
    streaming = sum(causes.total for causes in populations.values())
    values = [name for name in wiring.neurons if name not in wiring.marked]
    above = sum(measured.activity[name].above_zero for name in values)
    return Estimate(
        wiring,
        model,
        measured.basis,
        measured.frames,
        above / measured.frames / sum(wiring.neurons[name] for name in values),
        populations,
        sum(found.total for found in events.values()),
        wiring.updated_neurons * wiring.interval,
        streaming + update * (wiring.latency - wiring.interval),
        cores,
        times_of(wiring, events, model, cores) if cores else None,
        {name: found.total for name, found in events.items()},
    )


def _causes(wiring: Wiring, name: str, events: Events, model: CostModel, messages: float) -> Causes:
    """``messages`` is the number of cores that each of the spikes is sent to."""
    event, spike = model.event_pj * _UJ_PER_PJ, model.message_pj * _UJ_PER_PJ * messages
    neurons = 0 if name in wiring.inputs else wiring.neurons.get(name, wiring.clock_neurons)
    return Causes(
        neurons * wiring.interval * model.update_pj * _UJ_PER_PJ,
        events.data * event + events.spikes * spike,
        events.zeros * event + events.zero_spikes * spike,
        events.clocks * event + events.clock_spikes * spike,
        events.inhibition * event,
    )
