"""How many populations are worth it for each value, or for some of its channels.

With ``n`` slices a channel has ``1 / n^2`` of its noise, and ``n`` times its neurons. Each value
takes what makes the sum of noise and of the price of neurons least: so many slices for all of its
channels, or more for those of most noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qcompiler.ir.kernels import Array

_APART = 0.005  # share of the noise that channels must save to be values of their own
_ROUNDS = 64  # more than it takes


@dataclass(frozen=True)
class Slicing:
    """``slices`` for the channels of a value, and ``more`` for as many of most noise as ``loud``.

    ``noise`` and ``neurons`` are what the value then has.
    """

    noise: float
    neurons: float
    slices: int = 1
    loud: int = 0
    more: int = 1


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """A value that can be coded by several populations.

    ``noise`` is that of each channel that has a choice of its own, ``neurons`` what one takes.
    """

    noise: Array
    neurons: float

    @cached_property
    def order(self) -> Array:
        """The channels, those of most noise first."""
        return np.argsort(-self.noise, kind="stable")

    def best(self, price: float, apart: float, most: int) -> Slicing:
        """Its slices, up to ``most``, where a neuron is worth so much noise.

        Channels are not taken apart for less than ``apart``, in noise.
        """
        counts, total = np.arange(1, most + 1), float(self.noise.sum())
        loud = np.arange(len(self.noise))
        above = np.concatenate([[0.0], np.cumsum(self.noise[self.order[:-1]])])
        costs = [
            noise[:, None] / counts**2 + price * self.neurons * channels[:, None] * counts
            for noise, channels in ((above, loud), (total - above, loud[::-1] + 1))
        ]
        both = sum(cost.min(axis=1) for cost in costs)
        some = int(np.argmin(both))
        if both[some] >= both[0] - apart:
            some = 0
        more, slices = (int(counts[np.argmin(cost[some])]) for cost in costs)
        return Slicing(
            above[some] / more**2 + (total - above[some]) / slices**2,
            self.neurons * (some * more + (len(loud) - some) * slices),
            slices,
            some,
            more if some else slices,
        )


def choose_slices(
    values: Mapping[str, Bottleneck],
    noise: float,
    neurons: float,
    most: int,
    worth: float,
    loud: float = 1.0,
) -> dict[str, Slicing]:
    """The slices, up to ``most``, that are worth it for each value.

    The last of them saves at least ``worth`` times the share of the network's noise, of what is
    left, that it adds to its neurons; or of ``loud`` times the noise that there was, if that is
    less. Both are found by turns, from no slices on: the less is left, the less a neuron may save.
    """
    found: dict[str, Slicing] = {}
    left, total = noise, neurons
    alone = sum(value.neurons * len(value.noise) for value in values.values())
    for _ in range(_ROUNDS):
        price = worth * min(left, loud * noise) / total
        before, found = found, {n: v.best(price, _APART * left, most) for n, v in values.items()}
        if found == before:
            break
        left = noise - sum(v.noise.sum() - found[name].noise for name, v in values.items())
        total = neurons - alone + sum(slicing.neurons for slicing in found.values())
    return found
