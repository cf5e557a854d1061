"""Bursts: a level is as many spikes in a row; zero is silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Role, Window

from .code import Code, Fault, Neurons
from .dynamics import Extremes, even, farthest

_COARSE = 256  # unit of weights beyond 8 bits
_ONE_SYNAPSE = 127 * _COARSE  # largest weight of a single coarse synapse
_AGAIN = "run insert-readout"


class Burst(Code):
    """Level q is q spikes in a row, up to the end of the window; level 0 sends nothing.

    Readers forget their currents: q spikes of weight W add q W to a membrane by themselves. The
    slope D is a neuron's constant bias. It acts from the reset at open on. With ``n = read - open``
    steps of input, T the highest level and ``idle`` steps between close and the next open:

        hold    = -max(0, D n + highest - threshold)        at open
        bias    = B                                         at read
        align   = threshold + 1 - D (T + 1) - D n           at read
        release = -hold                                     at read
        stop    = -K                                        at close
        idle    = -max(0, D (idle + 2) - threshold)         at close + 1

    All inputs of the frame come before read. So the membrane k steps after read is
    ``V + B + D (k + 1) + threshold + 1 - D (T + 1)``. It exceeds the threshold as soon as
    ``V + B >= D (T - k)``: level q spikes first at ``k = T - q``. Each spike sets the membrane to
    0, and the synapse K of a neuron to itself lifts it above the threshold a step later, until
    stop outweighs it. From then on the membrane rises by D a step, at most to the threshold.
    """

    name = "burst"
    description = "as many spikes as the level in a row, none for level 0"
    roles = ("hold", "bias", "align", "release", "stop", "idle")
    pulses = ()
    keeps_currents = gates_inhibit = False

    def spikes_of(self, levels: Array) -> Array:
        """As many as the level."""
        return levels

    def sends(self, levels: Array, step: int, top: int) -> Array:
        """From ``top - level`` to ``top - 1``."""
        found: Array = (levels >= top - step) & (0 <= step < top)
        return found

    def sending_steps(self, top: int) -> int:
        """One for every level but 0."""
        return top

    def reset_step(self, window: Window) -> int:
        """Open."""
        return window.open

    def busy_steps(self, window: Window) -> int:
        """The last input of a frame, stop, comes at close, before the reset at open."""
        return window.close - window.open + 1

    def threshold(self, neurons: Neurons) -> int:
        """Room for the window; more, if that saves the hold and K stays a single synapse.

        It is odd, so that even weights keep all others even.
        """
        span = (neurons.slope * neurons.t_max).max()
        free = (neurons.slope * neurons.integration + neurons.drive.bounds.highest).max()
        found = int(max(span, min(free, _ONE_SYNAPSE - 2)))
        return found + (found + 1) % 2

    def clock_weights(self, neurons: Neurons) -> dict[Role, Array]:
        """See the class."""
        drive, bias, slope, *_ = neurons
        threshold, waited = self.threshold(neurons), slope * neurons.integration
        hold = -even(waited + drive.bounds.highest - threshold)
        return {
            "hold": hold,
            "bias": bias,
            "align": threshold + 1 - slope * neurons.t_max - waited,
            "release": -hold,
            "stop": -_again(threshold) + 0 * slope,
            "idle": -even(slope * (neurons.idle + 2) - threshold),
        }

    def arrival_step(self, role: Role, window: Window) -> int:
        """Hold arrives at open, stop at close, idle after it, the others at read."""
        opens, read, close = window
        return {"hold": opens, "stop": close, "idle": close + 1}.get(role, read)

    def faults(
        self, neurons: Neurons, line: Mapping[Role, Array], threshold: int
    ) -> Iterator[Fault]:
        """The slope spans the window, nothing spikes before read, and stop ends every burst."""
        drive, _, slope, *_ = neurons
        waited = slope * neurons.integration
        span = line["align"] + slope * neurons.t_max + waited
        if np.any(slope < 1) or np.any(span != threshold + 1):
            yield Fault("slope and threshold of {name} do not span its window")
        if np.any(line["hold"].astype(np.float64) + line["release"]):
            yield Fault("the release of {name} does not undo its hold")
        peak = np.max(waited + drive.bounds.highest + line["hold"])
        if peak > threshold:
            yield Fault(
                "{name} could fire before its read step: its membrane reaches "
                f"{peak:.0f}, the threshold is {threshold}",
                _AGAIN,
            )
        for step, sent in ((1, line["stop"]), (neurons.idle + 1, line["stop"] + line["idle"])):
            rest = slope * step + sent  # after a membrane at the threshold; K ends a burst
            if np.any(rest > 0) or np.any(rest + _again(threshold) > threshold):
                yield Fault("the bursts of {name} do not stop before the next frame", _AGAIN)
                return

    def self_weight(self, neurons: Neurons, lines: Mapping[int, Array], threshold: int) -> Array:
        """K, which lifts a membrane of 0 above the threshold."""
        found: Array = _again(threshold) + 0 * neurons.slope
        return found

    def extremes(
        self, neurons: Neurons, lines: Mapping[int, Array], threshold: int, own: Array
    ) -> Extremes:
        """Extremes up to close. After it a membrane may saturate until the reset."""
        drive, _, slope, window, _ = neurons
        bounds, zero = drive.bounds, 0 * drive.net
        ends = (*window, window.close + 1)
        first, read, stop, idle = (lines.get(at, zero) for at in ends)
        given = farthest(bounds.weakest, bounds.strongest)
        given = np.maximum(given, farthest(first + bounds.weakest, first + bounds.strongest))
        given = np.maximum(given, farthest(read, stop, own, own + stop, idle))
        low = np.minimum(first + bounds.lowest, first + bounds.final + read)
        lowest = low + np.minimum(stop, 0) + np.minimum(idle, 0)
        return Extremes(given, given, np.minimum(lowest + 0 * slope, 0))


def _again(threshold: int) -> int:
    """The weight K by which a neuron makes itself spike again: above the threshold."""
    return _COARSE * -(-(threshold + 1) // _COARSE)
