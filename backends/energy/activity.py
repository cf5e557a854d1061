"""How active neurons are, and how many spikes that makes under their code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir import ProgramError
from qcompiler.ir.kernels import Array

from .wiring import Wiring

_FRAMES = 128  # whose levels are summed at once
ASSUMED_ACTIVE = 0.5  # share of values above level 0 where nothing has been measured


class Sent(NamedTuple):
    """Spikes sent, and how many of them say that a value is zero."""

    spikes: float
    zeros: float


@dataclass(frozen=True)
class Levels:
    """Sums over a population's neurons and over frames.

    ``above_zero`` counts levels other than 0, ``total`` adds levels up. The others weight each
    neuron with its fan-out, the number of synapses that its spike reaches.
    """

    above_zero: float = 0
    total: float = 0
    weighted_above_zero: float = 0
    weighted_total: float = 0

    @staticmethod
    def of(above_zero: Array, total: Array, fan_out: Array) -> Levels:
        """From counts and sums of each neuron; both and ``fan_out`` are flat."""
        one, other = above_zero.astype(np.float64).ravel(), total.astype(np.float64).ravel()
        weights = fan_out.astype(np.float64)
        return Levels(int(one.sum()), int(other.sum()), int(one @ weights), int(other @ weights))

    def __add__(self, other: Levels) -> Levels:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)  # 10 x `astuple`
        return Levels(*(one + more for one, more in pairs))


Activity = Mapping[str, Levels]  # by population, inputs included


def sent(coding: str, count: float, above_zero: float, total: float) -> Sent:
    """Spikes of ``count`` values, of which ``above_zero`` are not zero and ``total`` is the sum.

    With counts that are weighted by fan-out these are synaptic events.
    """
    match coding:
        case "burst":
            return Sent(total, 0)
        case "silent" | "marker":
            return Sent(above_zero, 0)
        case _:  # level 0 spikes as well
            return Sent(count, count - above_zero)


def count_levels(levels: Mapping[str, Array], wiring: Wiring) -> dict[str, Levels]:
    """The activity in recorded levels, each ``frames x shape``."""
    return activity_of({name: _sums(q.reshape(len(q), -1)) for name, q in levels.items()}, wiring)


def _sums(levels: Array) -> tuple[Array, Array]:
    """Of each neuron, the number of levels above 0 and the sum.

    Sums of so many frames are exact in float32, as levels have 16 bits at most.
    """
    found = np.zeros((2, levels.shape[1]))
    for begin in range(0, len(levels), _FRAMES):
        part = levels[begin : begin + _FRAMES].astype(np.float32, copy=False)
        found += (part > 0).sum(axis=0, dtype=np.float32), part.sum(axis=0)
    return found[0], found[1]


def activity_of(sums: Mapping[str, tuple[Array, Array]], wiring: Wiring) -> dict[str, Levels]:
    """The activity from each neuron's count of levels above zero, and the sum of its levels.

    Markers are as active as what they mark.
    """
    every = {**sums, **{name: sums[source] for name, source in wiring.marked.items()}}
    return {name: Levels.of(*pair, wiring.fan_out[name]) for name, pair in every.items()}


def added(one: Activity | None, other: Activity) -> Activity:
    """The activity of the frames of both."""
    return other if one is None else {name: one[name] + levels for name, levels in other.items()}


def assumed_activity(wiring: Wiring, tops: Mapping[str, int]) -> Activity:
    """One frame in which half of each population's values are zero, the others spread evenly.

    ``tops`` are the highest levels.
    """
    found = {}
    for name, neurons in wiring.neurons.items():
        top = tops[wiring.marked.get(name, name)]
        shares = ASSUMED_ACTIVE, ASSUMED_ACTIVE * (top + 1) / 2
        counts = (
            share * count for count in (neurons, wiring.fan_out[name].sum()) for share in shares
        )
        found[name] = Levels(*map(float, counts))
    return found


def may_be_of(activity: Activity, frames: int, wiring: Wiring, tops: Mapping[str, int]) -> bool:
    """Whether it may be that of a network with this wiring in so many frames.

    ``tops`` are the highest levels.
    """
    if frames <= 0 or activity.keys() != wiring.neurons.keys():
        return False
    return all(
        levels.above_zero <= frames * wiring.neurons[name]
        and levels.total <= levels.above_zero * tops[wiring.marked.get(name, name)]
        for name, levels in activity.items()
    )


def to_json(activity: Activity, frames: int) -> dict[str, Any]:
    """The activity of so many frames as JSON data."""
    levels = {name: list(astuple(levels)) for name, levels in activity.items()}
    return {"frames": frames, "populations": levels}


def from_json(data: Any, names: Iterable[str]) -> tuple[Activity, int]:
    """The activity of these populations that `to_json` wrote, and the number of its frames.

    Raises ProgramError if it is damaged.
    """
    try:
        rows = data["populations"]
        found = {name: Levels(*map(float, rows[name])) for name in names}
        frames = data["frames"]
        numbers = [number for levels in found.values() for number in astuple(levels)]
        if type(frames) is int and frames > 0 and all(0 <= n < 1e300 for n in numbers):
            return found, frames
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise ProgramError("the manifest's activity is damaged: compile the model again")
