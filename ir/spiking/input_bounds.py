"""Bounds of the synaptic input of a population: proved for all inputs, or calibrated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Synapse

from .synapse import weight_sums


class Incoming(NamedTuple):
    """Synapses with their weights, and the shape and highest level of the sending population.

    If level 0 of the sender is ``silent``, its currents are 0 from the read step on.
    """

    synapse: Synapse
    weight: Array
    source: tuple[int, ...]
    top: int
    silent: bool = False


ABOVE = (  # the upper bounds among the fields of `Bounds`
    "highest",
    "rise",
    "most",
    "strongest",
)


class Bounds(NamedTuple):
    """Bounds of the effect of inputs on each neuron up to its read step; arrays broadcast.

    ``lowest`` and ``highest`` bound the change of the membrane at any step; ``final`` is its lower
    bound at the last step. ``fall`` and ``rise`` bound the input of one step, ``least`` and
    ``most`` the current at the last step, ``weakest`` and ``strongest`` that at any step. Clock
    synapses are not included. Inputs that send bursts cause the same membranes, but the input of
    each step is what is the current here.
    """

    lowest: Array
    highest: Array
    final: Array
    fall: Array
    rise: Array
    least: Array
    most: Array
    weakest: Array
    strongest: Array

    def within(self, proved: Bounds) -> Bounds:
        """The intersection of both bounds."""
        return Bounds(
            *(
                np.minimum(own, other) if name in ABOVE else np.maximum(own, other)
                for name, own, other in zip(self._fields, self, proved, strict=True)
            )
        )

    def joined(self, other: Bounds) -> Bounds:
        """The union of both bounds."""
        return Bounds(
            *(
                np.maximum(one, two) if name in ABOVE else np.minimum(one, two)
                for name, one, two in zip(self._fields, self, other, strict=True)
            )
        )


@dataclass(frozen=True)
class Drive:
    """The synaptic input of each neuron; arrays broadcast over the population.

    ``excite`` and ``inhibit`` are the sums of positive and of (negated) negative weights. ``lift``
    and ``depth`` are the largest rise and fall of the membrane by either alone. ``net`` is the
    current when all inputs have come. ``bounds`` follows from these, or from calibration data where
    these are tighter.
    """

    excite: Array
    inhibit: Array
    lift: Array
    depth: Array
    net: Array
    bounds: Bounds

    @classmethod
    def of(
        cls, incoming: Iterable[Incoming], rank: int = 0, calibrated: Bounds | None = None
    ) -> Drive:
        """The sum over all synapses into a population of this rank."""
        excite = inhibit = lift = depth = net = np.zeros((1,) * rank)
        for some in _alike(incoming):
            synapse, weight, source, *_ = some[0]
            up = weight_sums(synapse, weight, source, "positive")
            # not from a negated copy of the weights, which could overflow
            total = weight_sums(synapse, weight, source)
            down, top = up - total, sum(one.top for one in some)
            excite, inhibit = excite + len(some) * up, inhibit + len(some) * down
            lift, depth = lift + top * up, depth + top * down
            if lasting := sum(not one.silent for one in some):
                net = net + lasting * total
        bounds = Bounds(-depth, lift, -depth, *(-inhibit, excite) * 3)
        found = cls(excite, inhibit, lift, depth, net, bounds)
        return found if calibrated is None else found.bounded(calibrated)

    def bounded(self, calibrated: Bounds) -> Drive:
        """The same with its bounds intersected with calibrated ones."""
        return replace(self, bounds=calibrated.within(self.bounds))


def _alike(incoming: Iterable[Incoming]) -> Iterable[list[Incoming]]:
    """Synapses in groups that have the same weights, as those of the slices of a value."""
    found: dict[Any, list[Incoming]] = {}
    for one in incoming:
        found.setdefault((one.synapse, id(one.weight), one.source), []).append(one)
    return found.values()
