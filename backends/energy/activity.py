"""How active neurons are, and how many spikes that makes under their code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir import ProgramError
from qcompiler.ir.kernels import Array

from .wiring import Wiring

ASSUMED_ACTIVE = 0.5  # share of values above level 0 where nothing has been measured

# Spikes of level 0, of level 1, and of each further level: the place that knows what codings send.
_SPIKES: Mapping[str, tuple[int, int, int]] = {"one-spike": (1, 1, 0)}


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
        return Levels(*map(sum, zip(astuple(self), astuple(other), strict=True)))


Activity = Mapping[str, Levels]  # by population, inputs included


def sent(coding: str, count: float, levels: tuple[float, float]) -> Sent:
    """Spikes of ``count`` values under a coding.

    ``levels`` are how many of the values are above 0, and their sum. With counts that are weighted
    by fan-out these are synaptic events.
    """
    above_zero, total = levels
    zero, one, more = _SPIKES[coding]
    zeros = zero * (count - above_zero)
    return Sent(zeros + one * above_zero + more * (total - above_zero), zeros)


def weighted(wiring: Wiring, sums: Mapping[str, tuple[Array, Array]]) -> dict[str, Levels]:
    """The activity of all that sends spikes.

    ``sums`` are, by population, numbers of frames with a level above 0 and sums of levels, for each
    neuron.
    """
    return {name: Levels.of(*sums[name], wiring.fan_out[name]) for name in wiring.neurons}


def count_levels(levels: Mapping[str, Array], wiring: Wiring) -> dict[str, Levels]:
    """The activity in recorded levels, each ``frames x shape``."""
    sums = {name: ((q > 0).sum(axis=0), q.sum(axis=0)) for name, q in levels.items()}
    return weighted(wiring, sums)


def added(one: Activity | None, other: Activity) -> Activity:
    """The activity of the frames of both."""
    return other if one is None else {name: one[name] + levels for name, levels in other.items()}


def assumed_activity(wiring: Wiring, tops: Mapping[str, int]) -> Activity:
    """One frame in which half of each population's values are zero, the others spread evenly.

    ``tops`` are the highest levels.
    """
    found = {}
    for name, neurons in wiring.neurons.items():
        shares = ASSUMED_ACTIVE, ASSUMED_ACTIVE * (tops[name] + 1) / 2
        counts = (
            share * count for count in (neurons, wiring.fan_out[name].sum()) for share in shares
        )
        found[name] = Levels(*map(float, counts))
    return found


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
