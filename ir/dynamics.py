"""What reaches the neurons of a population in the worst case, step by step.

All arrays spread over the neurons. Steps are those of the frame; an input spike may arrive at any
step from ``open`` to ``read``, and after its own spike a neuron inhibits itself one step later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .kernels import Array
from .snn import Role, Synapse, Window
from .synapse import fan_in

PULSES: tuple[Role, ...] = ("bias", "align", "hold", "release", "force")
ROLES: tuple[Role, ...] = (*PULSES, "counterweight", "readout")


class Incoming(NamedTuple):
    """Synapses with their weights, and shape and highest level of the population that sends."""

    synapse: Synapse
    weight: Array
    source: tuple[int, ...]
    top: int


@dataclass(frozen=True)
class Drive:
    """What a population's synapses can do to its neurons; arrays that spread over them.

    ``excite`` and ``inhibit`` are sums of positive and of (negated) negative weights, ``lift`` and
    ``depth`` the most that each of them alone can add to, or take from, the membrane.
    """

    excite: Array
    inhibit: Array
    lift: Array
    depth: Array

    @classmethod
    def of(cls, incoming: Iterable[Incoming], rank: int = 0) -> Drive:
        """The sum over all synapses into a population of this rank."""
        excite = inhibit = lift = depth = np.zeros((1,) * rank)
        for synapse, weight, source, top in incoming:
            up = fan_in(synapse, np.maximum(weight, 0), source)
            # not from a negated copy of the weights, which could overflow
            down = up - fan_in(synapse, weight, source)
            excite, inhibit = excite + up, inhibit + down
            lift, depth = lift + top * up, depth + top * down
        return cls(excite, inhibit, lift, depth)

    @property
    def net(self) -> Array:
        """Sum of all weights."""
        return self.excite - self.inhibit


class Extremes(NamedTuple):
    """Largest magnitude of each neuron's input of one step and current, and lowest membrane."""

    input: Array
    current: Array
    membrane: Array


def clock_weights(drive: Drive, bias: Array, slope: Array, t_max: int) -> dict[Role, Array]:
    """What clocks must send to a neuron of bias B and slope D for it to compute its level.

    With ``threshold = max(D) t_max - 1``:

        align = threshold + 1 - D t_max    hold = -max(0, lift + B + align - threshold)
        counterweight = -net               force = max(0, depth - B)
        readout = D                        release = -hold
    """
    threshold = slope.max() * t_max - 1
    align = threshold + 1 - slope * t_max
    hold = _even(drive.lift + bias + align - threshold)
    return {
        "bias": bias,
        "align": align,
        "hold": -hold,
        "release": hold,
        "counterweight": -drive.net,
        "readout": slope,
        "force": _even(drive.depth - bias),
    }


def _even(needed: Array) -> Array:
    """At least what is needed and never negative, in the even numbers that every chip can add."""
    result: Array = 2 * np.ceil(np.maximum(needed, 0) / 2)
    return result


def due(role: Role, window: Window) -> int:
    """The step at which a clock's spike of this role must arrive."""
    if role in ("release", "counterweight", "readout"):
        return window.read
    return window.close if role == "force" else window.open


def lines_of(sent: Iterable[tuple[int, bool, Array]]) -> dict[int, Array]:
    """What all clocks together send to each neuron, by step of arrival.

    Each is given by the step of its arrival, whether it is a pulse, and its weights. Synapses that
    share a step are one synapse; a weight of 0 is none.
    """
    lines: dict[int, Array] = {}
    for at, pulse, weight in sent:
        lines[at] = lines.get(at, 0) + weight
        if pulse:
            lines[at + 1] = lines.get(at + 1, 0) - weight
    return {at: weight for at, weight in sorted(lines.items()) if weight.any()}


@dataclass(frozen=True)
class Dynamics:
    """A population that integrates what its synapses and clocks send."""

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
        """Bounds over all inputs.

        After its own spike a neuron may sink to the membrane's lower limit, where it stays until
        its reset; above its threshold it spikes. Neither does harm, so neither is counted.
        """
        window, drive, zero = self.window, self.drive, 0 * self.drive.depth
        given = current = deepest = zero
        steady, depth = zero, -drive.depth
        # Between these steps nothing changes but the membrane, which moves evenly.
        events = sorted({window.open, window.read, window.read + 1, window.close, *self.lines})
        for step, following in zip(events, [*events[1:], window.close + 2], strict=True):
            line = self.lines.get(step, zero)
            up, down = (drive.excite, drive.inhibit) if step <= window.read else (zero, zero)
            down = down + (inhibition if step > window.read else 0)
            given = _farthest(given, line - down, line + up)
            if following > step + 1:
                given = _farthest(given, down, up)
            steady = steady + line
            if step == window.read:  # every input has come
                steady = steady + drive.net
                up = down = zero
            current = _farthest(current, steady - down, steady + up)
            first, depth = depth + steady, depth + (following - step) * steady
            if step <= window.close:
                last = depth if following <= window.close + 1 else first
                deepest = np.minimum(deepest, np.minimum(first, last))
        return Extremes(given, current, deepest)


def _farthest(*arrays: Array) -> Array:
    found = np.abs(arrays[0])
    for array in arrays[1:]:
        found = np.maximum(found, np.abs(array))
    return found
