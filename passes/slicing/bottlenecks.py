"""Choose the number of slices of each value, or of its noisiest channels.

With ``n`` slices a channel has ``1 / n^2`` of its noise and ``n`` times its neurons. Each value
gets the slices that minimise noise plus the price of its neurons: one number for all of its
channels, or a higher one for the noisiest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qcompiler.ir.kernels import Array

_MIN_SAVING = 0.005  # least share of the noise that a separate group of channels must save
_ROUNDS = 64  # iterations; it converges earlier
_UNFITTED = 2.0  # neurons that noise is worth, times those elsewhere, where no fit corrects it


@dataclass(frozen=True)
class Slicing:
    """Slices of a value: ``noisy_slices`` for the ``noisy`` noisiest channels, else ``slices``.

    Two digits may stand for two slices, the finer one of ``digits`` levels; 0 if not. ``noise`` and
    ``neurons`` are those of the value with these slices.
    """

    noise: float
    neurons: float
    slices: int = 1
    noisy: int = 0
    noisy_slices: int = 1
    digits: int = 0


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """A value that several populations can represent.

    ``noise`` is the noise of each channel, ``neurons`` the number of neurons per channel, and
    ``most`` the largest number of slices that its readers can take. If ``finer`` is not 0, two
    digits can stand for two slices: the second divides each level by ``finer``, and its window
    costs as much as ``later`` neurons. They do where that is best, and always where no reader is
    ``fitted`` to its noise.
    """

    noise: Array
    neurons: float
    most: int = 1 << 16
    finer: int = 0
    later: float = 0.0
    fitted: bool = False

    @cached_property
    def order(self) -> Array:
        """Indices of the channels, the noisiest first."""
        return np.argsort(-self.noise, kind="stable")

    def with_digits(self, levels: int, later: float, fitted: bool) -> Bottleneck:
        """The same if digits are possible, the finer one with so many ``levels``."""
        if fitted:  # latency costs no energy
            return replace(self, finer=levels - 1, fitted=True)
        one = np.array([self.noise.sum()])
        return Bottleneck(one, self.neurons * len(self.noise), self.most, levels - 1, later)

    def best(self, price: float, min_saving: float, most: int) -> Slicing:
        """The best slices, at most ``most``; ``price`` is the noise that one neuron is worth.

        Noisy channels get separate slices only if that saves more than ``min_saving`` of noise.
        """
        most = min(most, self.most)
        if not self.finer or most == 1:
            return self._sliced(price, min_saving, most)
        if not self.fitted:
            return self._digits(price / _UNFITTED, min_saving)
        ways = self._sliced(price, min_saving, most), self._digits(price, min_saving)
        return min(ways, key=lambda way: way.noise + price * way.neurons)

    def _sliced(self, price: float, min_saving: float, most: int) -> Slicing:
        counts, total = np.arange(1, most + 1), float(self.noise.sum())
        counted = np.arange(len(self.noise))
        above = np.concatenate([[0.0], np.cumsum(self.noise[self.order[:-1]])])
        costs = [
            noise[:, None] / counts**2 + price * self.neurons * channels[:, None] * counts
            for noise, channels in ((above, counted), (total - above, counted[::-1] + 1))
        ]
        both = sum(cost.min(axis=1) for cost in costs)
        some = int(np.argmin(both))
        if both[some] >= both[0] - min_saving:
            some = 0
        more, slices = (int(counts[np.argmin(cost[some])]) for cost in costs)
        return Slicing(
            above[some] / more**2 + (total - above[some]) / slices**2,
            self.neurons * (some * more + (len(counted) - some) * slices),
            slices,
            some,
            more if some else slices,
        )

    def _digits(self, price: float, min_saving: float) -> Slicing:
        """Two digits of the noisiest channels, or of all, if they pay, else one population."""
        total, count = float(self.noise.sum()), len(self.noise)
        finer = np.arange(count + 1)
        above = np.concatenate([[0.0], np.cumsum(self.noise[self.order])])
        noise = total - above * (1 - 1 / self.finer**2)
        neurons = self.neurons * (count + finer) + self.later * (finer > 0)
        costs = noise + price * neurons
        ends = 0 if costs[0] <= costs[count] else count
        best = int(np.argmin(costs))
        if costs[best] >= costs[ends] - min_saving:
            best = ends
        known = float(noise[best]), float(neurons[best])
        if best in (0, count):
            return Slicing(*known, 1 + (best > 0), digits=(self.finer + 1) * (best > 0))
        return Slicing(*known, 1, best, 2, digits=self.finer + 1)


def slices_at(values: Mapping[str, Bottleneck], price: float, most: int) -> dict[str, Slicing]:
    """The best slices of each value, at most ``most``, if a neuron is worth so much noise."""
    total = sum(value.noise.sum() for value in values.values())
    return {name: value.best(price, _MIN_SAVING * total, most) for name, value in values.items()}


def choose_slices(
    values: Mapping[str, Bottleneck],
    noise: float,
    neurons: float,
    most: int,
    worth: float,
    noise_cap: float = 1.0,
    rest: float = 0.0,
) -> dict[str, Slicing]:
    """Choose the slices of each value, at most ``most``.

    Adding a slice must pay: the share of the remaining noise that it saves is at least ``worth``
    times the share of the neurons that it adds. ``noise_cap`` times the initial noise counts
    instead of the remaining noise if it is less. ``rest`` times the initial noise, which no slice
    removes, remains as well. Slices and remaining noise depend on each other
    and are found by fixed-point iteration, starting without slices.
    """
    found: dict[str, Slicing] = {}
    left, total = noise, neurons
    alone = sum(value.neurons * len(value.noise) for value in values.values())
    for _ in range(_ROUNDS):
        price = worth * (min(left, noise_cap * noise) + rest * noise) / total
        before, found = (
            found,
            {n: v.best(price, _MIN_SAVING * left, most) for n, v in values.items()},
        )
        if found == before:
            break
        left = noise - sum(v.noise.sum() - found[name].noise for name, v in values.items())
        total = neurons - alone + sum(slicing.neurons for slicing in found.values())
    return found
