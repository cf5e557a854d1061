"""A population cut into a grid of cores: runs of its channels times runs of its places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population
from qcompiler.ir.kernels import Array


def channels_and_positions(group: Population) -> tuple[int, int]:
    """Channels and places of a population, whose neurons are numbered channel by channel."""
    channels = group.shape[0] if group.shape else 1
    return channels, prod(group.shape[1:])


@dataclass(frozen=True)
class CoreGrid:
    """A population cut into ``rows`` runs of channels times ``columns`` runs of places.

    Runs of one kind differ by one at most. A core holds one run's channels at one run's places.
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
        """First channel of every run, and the number of channels."""
        return np.arange(self.rows + 1) * self.channels // self.rows

    @cached_property
    def position_starts(self) -> Array:
        """First place of every run, and the number of places."""
        return np.arange(self.columns + 1) * self.positions // self.columns

    def sums(self, summed_area_table: Array) -> Array:
        """Sums over every core, ``rows x columns``; see `table`."""
        found: Array = summed_area_table[self.channel_starts][:, self.position_starts]
        return np.diff(np.diff(found, axis=0), axis=1)


def summed_area_table(values: Array, shape: tuple[int, int]) -> Array:
    """Sums of ``values[:i, :j]``, from which those of any rectangle follow; spreads to a shape."""
    found = np.zeros((shape[0] + 1, shape[1] + 1), np.int64)
    np.broadcast_to(values, shape).cumsum(axis=0, out=found[1:, 1:])
    np.cumsum(found, axis=1, out=found)
    return found
