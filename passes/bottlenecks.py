"""How many populations are worth it for each value, or for some of its channels.

One slice more of a channel cuts its noise from ``1 / n^2`` to ``1 / (n + 1)^2``, and takes its
neurons once more. The best such step is taken again and again, as long as it saves a larger share
of the noise that is left than it adds to the neurons that are there.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qcompiler.ir.kernels import Array

_FEW, _MANY = 0.005, 0.8  # share of the noise below which some channels, of channels above which
# the others are not worth populations of their own


@dataclass
class Bottleneck:
    """A value that can be coded by several populations.

    ``noise`` is that of each channel that has a choice of its own, ``neurons`` what one takes.
    ``count`` slices code each of them, and ``ahead`` of them, those of most noise, one more.
    """

    noise: Array
    neurons: float
    count: int = 1
    ahead: int = 0
    order: Array = field(init=False)

    def __post_init__(self) -> None:
        self.order = np.argsort(-self.noise, kind="stable")

    @property
    def gain(self) -> float:
        """The noise that the next step saves."""
        return float(self.noise[self.order[self.ahead]]) * self._saved

    @property
    def _saved(self) -> float:
        return 1 / self.count**2 - 1 / (self.count + 1) ** 2

    @property
    def some(self) -> Array:
        """The channels with a slice more than the others, in order."""
        return np.sort(self.order[: self.ahead])

    @property
    def others(self) -> Array:
        """The channels without."""
        return np.sort(self.order[self.ahead :])

    def step(self) -> None:
        """One slice more for the next channel."""
        self.ahead += 1
        if self.ahead == len(self.noise):
            self.count, self.ahead = self.count + 1, 0

    def settle(self, left: float) -> None:
        """Let all channels have as many slices, unless the difference is worth it."""
        if self.noise[self.some].sum() * self._saved < _FEW * left:
            self.ahead = 0
        elif self.ahead >= _MANY * len(self.noise):
            self.count, self.ahead = self.count + 1, 0


def widen(
    values: Mapping[str, Bottleneck],
    noise: float,
    neurons: float,
    most: int,
    worth: float,
    loud: float = 1.0,
) -> None:
    """Give the values as many slices, up to ``most``, as are worth it.

    Each step saves at least ``worth`` times the share of the network's noise, of what is left, that
    it adds to its neurons; or of ``loud`` times the noise that there was, if that is less.
    """
    heap = [(-v.gain / v.neurons, name) for name, v in values.items() if most > 1]
    heapq.heapify(heap)
    left = noise
    while heap:
        ratio, name = heapq.heappop(heap)
        value = values[name]
        if -ratio * neurons < worth * min(left, loud * noise):
            break
        left, neurons = left - value.gain, neurons + value.neurons
        value.step()
        if value.count < most:
            heapq.heappush(heap, (-value.gain / value.neurons, name))
    for value in values.values():
        value.settle(left)
