"""One spike a value, whose time is the level; level 0 spikes last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Role, Window
from qcompiler.ir.types import Coding

from .code import Code, Fault, Neurons
from .dynamics import PULSES, ROLES, Dynamics, Extremes, arrival_step, clock_weights, threshold_of

_HOLD = "run insert-readout, which holds the membrane down far enough"
_FORCE = "run insert-readout, which forces hard enough"


class OneSpike(Code):
    """Level q is one spike, ``T - q`` steps after the window's start.

    Its readers keep their currents, and a counterweight cancels the sum: see `dynamics`.
    """

    name: ClassVar[Coding] = "one-spike"
    description = "one spike a value, also for level 0"
    roles, pulses = ROLES, PULSES
    keeps_currents = gates_inhibit = True

    def spikes_of(self, levels: Array) -> Array:
        """Every level sends one."""
        return np.ones_like(levels)

    def sends(self, levels: Array, step: int, top: int) -> Array:
        """At ``top - level``."""
        found: Array = levels == top - step
        return found

    def sending_steps(self, top: int) -> int:
        """One for every level."""
        return top + 1

    def busy_steps(self, window: Window) -> int:
        """A population is reset at open. The inhibition by its last spike comes after close."""
        return window.close - window.open + 2

    def reset_step(self, window: Window) -> int:
        """Open."""
        return window.open

    def threshold(self, neurons: Neurons) -> int:
        """See `threshold_of`."""
        return threshold_of(neurons.drive, neurons.bias, neurons.slope, neurons.t_max)

    def clock_weights(self, neurons: Neurons) -> dict[Role, Array]:
        """See `clock_weights` of `dynamics`."""
        threshold = self.threshold(neurons)
        return clock_weights(*neurons[:3], neurons.t_max, threshold)

    def arrival_step(self, role: Role, window: Window) -> int:
        """See `arrival_step` of `dynamics`."""
        return arrival_step(role, window)

    def faults(
        self, neurons: Neurons, line: Mapping[Role, Array], threshold: int
    ) -> Iterator[Fault]:
        """The counterweight cancels, the slope spans the window, nothing spikes early or never."""
        drive, bias, slope, *_ = neurons
        if np.any(line["counterweight"].astype(np.float64) + drive.net):
            yield Fault("the counterweight of {name} does not cancel its weights")
        if np.any(slope < 1) or np.any(line["align"] + slope * neurons.t_max != threshold + 1):
            yield Fault("slope and threshold of {name} do not span its window")
        if np.any(line["hold"].astype(np.float64) + line["release"]):
            yield Fault("the release of {name} does not undo its hold")
        peak = np.max(drive.bounds.highest + bias + line["align"] + line["hold"])
        if peak > threshold:
            yield Fault(
                "{name} could fire before its read step: its membrane reaches "
                f"{peak:.0f}, the threshold is {threshold}",
                _HOLD,
            )
        if "force" not in self.roles:
            return
        lowest = float(np.min(bias + drive.bounds.final + line["force"]))
        if lowest < 0:
            yield Fault(
                f"the forced spike of {{name}} misses membrane potentials by {-lowest:.0f}", _FORCE
            )

    def self_weight(self, neurons: Neurons, lines: Mapping[int, Array], threshold: int) -> Array:
        """Inhibition: see `Dynamics.silence`."""
        worst: Array = -Dynamics(neurons.drive, lines, neurons.window, threshold).silence()
        return worst

    def extremes(
        self, neurons: Neurons, lines: Mapping[int, Array], threshold: int, own: Array
    ) -> Extremes:
        """See `Dynamics.extremes`."""
        return Dynamics(neurons.drive, lines, neurons.window, threshold).extremes(-own)
