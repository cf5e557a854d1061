"""A population divided among a grid of cores: ranges of channels times ranges of positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population
from qcompiler.ir.kernels import Array


def channels_and_positions(group: Population) -> tuple[int, int]:
    """Number of channels and of positions; neurons are numbered channel by channel."""
    channels = group.shape[0] if group.shape else 1
    return channels, prod(group.shape[1:])


@dataclass(frozen=True)
class CoreGrid:
    """A population divided into ``rows`` ranges of channels times ``columns`` of positions.

    Lengths of ranges differ by at most one. A core holds one channel range at one position range.
    """

    channels: int
    positions: int
    rows: int = 1
    columns: int = 1

    @property
    def cores(self) -> int:
        return self.rows * self.columns

    @property
    def neurons(self) -> int:
        """Neurons of the largest core."""
        return -(-self.channels // self.rows) * -(-self.positions // self.columns)

    @cached_property
    def channel_starts(self) -> Array:
        """First channel of every range, then the number of channels."""
        return np.arange(self.rows + 1) * self.channels // self.rows

    @cached_property
    def position_starts(self) -> Array:
        """First position of every range, then the number of positions."""
        return np.arange(self.columns + 1) * self.positions // self.columns

    def sums(self, summed_area_table: Array) -> Array:
        """Sums over every core, ``rows x columns``; see `summed_area_table`."""
        found = summed_area_table[np.ix_(self.channel_starts, self.position_starts)]
        rows = found[1:] - found[:-1]
        between: Array = rows[:, 1:] - rows[:, :-1]
        return between


def summed_area_table(values: Array, shape: tuple[int, int]) -> Array:
    """Sums of ``values[:i, :j]``, broadcast to ``shape``; they give the sum of any rectangle."""
    found = np.zeros((shape[0] + 1, shape[1] + 1), np.int64)
    np.broadcast_to(values, shape).cumsum(axis=0, out=found[1:, 1:])
    np.cumsum(found, axis=1, out=found)
    return found
