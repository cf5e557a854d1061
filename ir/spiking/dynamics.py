"""Worst-case dynamics of a population: threshold, clock weights, and extremes of its membranes.

Arrays broadcast over the neurons; steps count from the start of the frame. Input spikes arrive at
any step from ``open`` to ``read``. One step after its own spike a neuron inhibits itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Role, Window

from .input_bounds import Drive

PULSES: tuple[Role, ...] = ("bias", "align", "hold", "release", "force")
ROLES: tuple[Role, ...] = (*PULSES, "counterweight", "readout")


class Extremes(NamedTuple):
    """Per neuron: largest magnitudes of the input of one step and the current; lowest membrane."""

    input: Array
    current: Array
    membrane: Array


def threshold_of(drive: Drive, bias: Array, slope: Array, t_max: int) -> int:
    """Common threshold of a population, in units of weights; B and D broadcast over its neurons.

    It leaves room for ``t_max`` steps of the steepest neuron and exceeds the largest ``force``, so
    that a neuron that has spiked needs at most D of self-inhibition to stay silent. If all weights
    are even the threshold is odd, so that ``align`` is even.
    """
    return int(max(slope.max() * t_max, _force(drive, bias).max() + 2)) - 1


def clock_weights(
    drive: Drive, bias: Array, slope: Array, t_max: int, threshold: int
) -> dict[Role, Array]:
    """The clock weights that make a neuron of bias B and slope D compute its level, by role.

    The threshold is that of `threshold_of`, or, without force, at least ``D t_max - 1``:

        align = threshold + 1 - D t_max    hold = -max(0, highest + B + align - threshold)
        counterweight = -net               force = max(0, -final - B)
        readout = D                        release = -hold
    """
    align = threshold + 1 - slope * t_max
    hold = even(drive.bounds.highest + bias + align - threshold)
    return {
        "bias": bias,
        "align": align,
        "hold": -hold,
        "release": hold,
        "counterweight": -drive.net,
        "readout": slope,
        "force": _force(drive, bias),
    }


def _force(drive: Drive, bias: Array) -> Array:
    return even(-drive.bounds.final - bias)


def even(needed: Array) -> Array:
    """Round up to an even number, at least 0: some chips add even weights only."""
    result: Array = 2 * np.ceil(np.maximum(needed, 0) / 2)
    return result


def arrival_step(role: Role, window: Window) -> int:
    """The step at which a clock's spike of this role must arrive."""
    if role in ("release", "counterweight", "readout"):
        return window.read
    return window.close if role == "force" else window.open


def merge_control_lines(sent: Iterable[tuple[int, bool, Array]]) -> dict[int, Array]:
    """Sum the clock synapses of a population per step of arrival.

    ``sent`` holds the step of arrival, whether the synapse is a pulse, and its weights. A pulse is
    taken back one step later. Steps at which all weights are 0 are left out.
    """
    lines: dict[int, Array] = {}
    for at, pulse, weight in sent:
        lines[at] = lines.get(at, 0) + weight
        if pulse:
            lines[at + 1] = lines.get(at + 1, 0) - weight
    return {at: weight for at, weight in sorted(lines.items()) if weight.any()}


@dataclass(frozen=True)
class Dynamics:
    """A population: its inputs (``drive``), clock currents (``lines``), window and threshold."""

    drive: Drive
    lines: Mapping[int, Array]
    window: Window
    threshold: int

    def silence(self) -> Array:
        """The inhibition that keeps a neuron silent after its spike.

        After the spike v is 0 and u is what it was. With ``u - inhibition <= 0`` at every later
        step v falls, but for the forcing step (close), where it must stay below the threshold.
        """
        read, close = self.window.read, self.window.close
        net = self.drive.net
        needed = 0 * net
        for step in sorted({read + 1, close + 1, *self.lines}):
            if step > read:
                u = net + sum(weight for at, weight in self.lines.items() if at <= step)
                needed = np.maximum(needed, u - (self.threshold if step == close else 0))
        return needed

    def extremes(self, inhibition: Array) -> Extremes:
        """Extremes over all inputs within the bounds of the drive.

        Two cases are harmless and not counted: after its spike a membrane may saturate at its lower
        limit until the reset, and above the threshold a neuron spikes.
        """
        window, drive, bounds = self.window, self.drive, self.drive.bounds
        given = current = deepest = steady = zero = 0 * drive.depth
        depth = bounds.lowest
        # Between these steps nothing changes but the membrane, which moves evenly.
        events = sorted({window.open, window.read, window.read + 1, window.close, *self.lines})
        for step, following in zip(events, [*events[1:], window.close + 2], strict=True):
            line = self.lines.get(step, zero)
            fall, rise, below, above = zero, zero, zero, zero
            if step < window.read:
                fall, rise, below, above = bounds.fall, bounds.rise, drive.inhibit, drive.excite
            elif step == window.read:  # inputs that arrive last
                fall, rise = drive.net - bounds.most, drive.net - bounds.least
            else:
                fall, below = -inhibition, inhibition
            given = farthest(given, line + fall, line + rise)
            if following > step + 1:
                given = farthest(given, fall, rise)
            steady = steady + line
            if step == window.read:  # every input has come
                steady = steady + drive.net
            current = farthest(current, steady - below, steady + above)
            first, depth = depth + steady, depth + (following - step) * steady
            if step <= window.close:
                last = depth if following <= window.close + 1 else first
                deepest = np.minimum(deepest, np.minimum(first, last))
        return Extremes(given, current, deepest)


def farthest(*arrays: Array) -> Array:
    """The largest magnitude of several arrays, element by element."""
    found = np.abs(arrays[0])
    for array in arrays[1:]:
        found = np.maximum(found, np.abs(array))
    return found
