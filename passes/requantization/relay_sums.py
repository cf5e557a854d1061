"""Sums of values of unlike scales, as additions of a quantised model: one slope for all.

The levels of the sum are ``sum of ratio_i (q_i - zero_i) + offset``. With the slope D the weights
are ``round(D ratio_i)``; the D with the least error of these rounds nearly all sums as the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array

from .requantization import Requantization

_MOST_SUMS = 1 << 20


@dataclass(frozen=True)
class RelaySums:
    """The ratios of the scales of some sources to that of their sum, and its offset in levels."""

    ratios: Array
    offset: float
    sources: tuple[Spikes, ...]
    code: Spikes

    @property
    def count(self) -> int:
        """Number of combinations of the levels of all sources."""
        return prod(source.t_max for source in self.sources)

    @property
    def countable(self) -> bool:
        """Whether all combinations can be tried."""
        return self.count <= _MOST_SUMS

    def best(self, steepest: int) -> tuple[Array, Requantization]:
        """Integer weights and how they round, for slopes up to ``steepest``."""
        slopes = np.arange(1, steepest + 1)[:, None]
        reach = np.array([max(s.zero, s.top - s.zero) for s in self.sources])
        errors = np.abs(np.rint(slopes * self.ratios) / slopes - self.ratios) @ reach
        slope = int(errors.argmin()) + 1
        weights = np.rint(slope * self.ratios)
        bias = float(np.rint(slope * self.offset) + slope // 2)
        otherwise, apart = self._differences(weights, bias, slope)
        ones, one = np.ones(1), np.array([float(slope)])
        found = Requantization(ones, np.array([bias]), one, np.array([float(otherwise)]), apart)
        return weights, found

    def _differences(self, weights: Array, bias: float, slope: int) -> tuple[int, bool]:
        """How many sums round to other levels than in the model, and whether any by more than one.

        Half a level rounds to the even number.
        """
        top, zero = self.code.top, self.code.zero
        exact = _combined(self.ratios, self.sources) + self.offset - zero
        model = np.rint(exact).clip(-zero, top - zero) + zero
        levels = np.floor((_combined(weights, self.sources) + bias) / slope).clip(0, top)
        apart = np.abs(levels - model)
        return int(np.count_nonzero(apart)), bool(apart.max() > 1)


def _combined(factors: Sequence[float] | Array, sources: tuple[Spikes, ...]) -> Array:
    total = np.zeros(1)
    for factor, source in zip(factors, sources, strict=True):
        values = float(factor) * (np.arange(source.t_max) - source.zero)
        total = (total[:, None] + values).reshape(-1)
    return total
