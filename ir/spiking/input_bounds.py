"""What a population's synapses can do to its neurons: for all inputs, or for those seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Synapse

from .synapse import fan_in


class Incoming(NamedTuple):
    """Synapses with their weights, and shape and highest level of the population that sends."""

    synapse: Synapse
    weight: Array
    source: tuple[int, ...]
    top: int


ABOVE = ("highest", "rise", "most")  # of `Bounds`; the others bound from below


class Bounds(NamedTuple):
    """Between what limits inputs move each neuron before its read step; arrays that spread.

    ``lowest`` and ``highest`` bound what they have added to the membrane at any step, ``final`` is
    the lowest of that at the last step; ``fall`` and ``rise`` bound what comes in one step,
    ``least`` and ``most`` the current of the last step. Nothing of it counts what clocks send.
    """

    lowest: Array
    highest: Array
    final: Array
    fall: Array
    rise: Array
    least: Array
    most: Array

    def within(self, proved: Bounds) -> Bounds:
        """The tighter of both."""
        return Bounds(
            *(
                np.minimum(own, other) if name in ABOVE else np.maximum(own, other)
                for name, own, other in zip(self._fields, self, proved, strict=True)
            )
        )

    def joined(self, other: Bounds) -> Bounds:
        """What both of them allow."""
        return Bounds(
            *(
                np.maximum(one, two) if name in ABOVE else np.minimum(one, two)
                for name, one, two in zip(self._fields, self, other, strict=True)
            )
        )


@dataclass(frozen=True)
class Drive:
    """What synapses can do to each neuron; arrays that spread over the population.

    ``excite`` and ``inhibit`` are sums of positive and of (negated) negative weights, ``lift`` and
    ``depth`` the most that each of them alone can add to, or take from, the membrane. ``bounds``
    is what to reckon with: what follows from these, unless calibration data say less.
    """

    excite: Array
    inhibit: Array
    lift: Array
    depth: Array
    bounds: Bounds

    @classmethod
    def of(
        cls, incoming: Iterable[Incoming], rank: int = 0, calibrated: Bounds | None = None
    ) -> Drive:
        """The sum over all synapses into a population of this rank."""
        excite = inhibit = lift = depth = np.zeros((1,) * rank)
        for synapse, weight, source, top in incoming:
            up = fan_in(synapse, np.maximum(weight, 0), source)
            # not from a negated copy of the weights, which could overflow
            down = up - fan_in(synapse, weight, source)
            excite, inhibit = excite + up, inhibit + down
            lift, depth = lift + top * up, depth + top * down
        bounds = Bounds(-depth, lift, -depth, *(-inhibit, excite) * 2)
        found = cls(excite, inhibit, lift, depth, bounds)
        return found if calibrated is None else found.bounded(calibrated)

    def bounded(self, calibrated: Bounds) -> Drive:
        """The same, reckoning with bounds that calibration data have shown."""
        return replace(self, bounds=calibrated.within(self.bounds))

    @property
    def net(self) -> Array:
        """Sum of all weights."""
        return self.excite - self.inhibit
