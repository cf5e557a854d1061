"""What other networks and machines would take for a frame, beside an estimate.

rate coding     the neurons and synapses of the program, each value as so many spikes in T steps
as it is a part of its highest level; no clocks
ANN at 45 nm    the products of the model's layers, in 8 bits, beside the program at the same
technology (`CMOS45`)
GPU, ARM        the same products
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .built_in_models import ANN_PLAIN, ANN_REUSE, ARM, CMOS45, GPU, ProductCost
from .cores import messages_of
from .estimate import Estimate, Measurement, estimate

RATES = (16, 32, 64)  # steps of rate coding
_UJ_PER_PJ = 1e-6


@dataclass(frozen=True)
class Alternatives:
    """Energy of a frame in uJ; each figure is a model's. ``macs`` are the products of the ANN.

    ``rate`` is by number of steps, at the model of the program's estimate ``own``; ``at_45_nm`` is
    the program's at `CMOS45`.
    """

    own: Estimate
    at_45_nm: Estimate
    rate: Mapping[int, float]
    macs: int

    def of(self, machine: ProductCost) -> float:
        """The energy of the model's products on a machine."""
        return self.macs * machine.mac_pj * _UJ_PER_PJ

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON data."""
        return {
            "macs": self.macs,
            "energy_uj": {
                "program": self.own.causes.total,
                "program_cmos45": self.at_45_nm.causes.total,
                "ann_cmos45": self.of(ANN_PLAIN),
                "ann_cmos45_reuse": self.of(ANN_REUSE),
                "gpu": self.of(GPU),
                "arm": self.of(ARM),
                **{f"rate_{steps}": energy for steps, energy in self.rate.items()},
            },
            "verdict": self.verdict,
        }

    @property
    def verdict(self) -> str:
        """One sentence: who needs less at equal technology, and why."""
        ours, plain, reuse = self.at_45_nm.causes.total, self.of(ANN_PLAIN), self.of(ANN_REUSE)
        per_mac = self.at_45_nm.events / self.macs
        if ours > plain:
            who = f"the 8-bit ANN needs {ours / plain:.1f} to {ours / reuse:.1f} times less energy"
        elif ours < reuse:
            who = f"the program needs {reuse / ours:.1f} to {plain / ours:.1f} times less energy"
        else:
            who = (
                f"the program needs {plain / ours:.1f} times less energy than an ANN that loads "
                f"each weight anew, and {ours / reuse:.1f} times more than one that reuses weights"
            )
        return f"at equal technology (cmos45 model) {who}, {self._reason(ours > plain, per_mac)}"

    def _reason(self, loses: bool, per_mac: float) -> str:
        causes, steps = self.at_45_nm.causes, self.at_45_nm.wiring.interval
        events = f"it has {per_mac:.2g} synaptic events for each product of the ANN"
        if not loses:
            return f"as {events}"
        if causes.updates > causes.total / 2:
            part = f"{100 * causes.updates / causes.total:.0f} %"
            return (
                f"as every neuron is updated at all {steps} steps: {part} of the program's energy"
            )
        zeros = 100 * causes.zeros / causes.data if causes.data else 0.0
        return (
            f"as {events}, each of which moves a weight and an accumulator, and {zeros:.0f} % of "
            "the data events say zero"
        )


def alternatives(
    own: Estimate, measured: Measurement, tops: Mapping[str, int], macs: int
) -> Alternatives:
    """What stands beside an estimate; ``tops`` are the populations' highest levels."""
    at_45_nm = estimate(own.wiring, measured, CMOS45)
    rate = {steps: _rate(own, measured, tops, steps) for steps in RATES}
    return Alternatives(own, at_45_nm, rate, macs)


def _rate(own: Estimate, measured: Measurement, tops: Mapping[str, int], steps: int) -> float:
    model, wiring = own.model, own.wiring
    markers = sum(wiring.neurons[name] for name in wiring.marked if name not in wiring.inputs)
    neurons = wiring.updated_neurons - wiring.clock_neurons - markers
    messages = events = 0.0
    for name, levels in measured.activity.items():
        if name in wiring.marked:
            continue
        spikes = levels.total / tops[name] * steps / measured.frames
        messages += spikes * messages_of(own.cores, name)
        events += levels.weighted_total / tops[name] * steps / measured.frames
    updates = neurons * steps * model.update_pj
    return _UJ_PER_PJ * (updates + events * model.event_pj + messages * model.message_pj)
