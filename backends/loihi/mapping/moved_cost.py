"""The cost of synapses from senders that stand several times in a view, where channels are alike.

So they do behind a product's broadcast: every channel sees those of the first one, moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Synapses
from qcompiler.ir.kernels import Array

from .core_grid import CoreGrid
from .core_load import CoreLoad
from .seen_places import Seen, SeenPlaces
from .synapse_memory import synapse_bits


class _Axis:
    """Numbers along channels or along positions, each of which may repeat."""

    def __init__(self, numbers: Array) -> None:
        self.numbers = numbers
        known, self.first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
        self.seen = SeenPlaces(inverse.reshape(-1, 1), len(known))


class MovedCost:
    """From the sender of a number that is the sum of one of the channel and one of the position.

    No two pairs of such numbers have the same sum, and no weight of any part is 0.
    """

    def __init__(self, row: Synapses, channels: Array, positions: Array, parts: int) -> None:
        self.row, self.parts = row, parts
        self.channels, self.positions = _Axis(channels), _Axis(positions)
        self.synapses = parts * len(channels) * len(positions)
        self._rows = lru_cache(maxsize=1)(self._seen_rows)
        self._columns = lru_cache(maxsize=1)(self._seen_columns)

    @property
    def shape(self) -> Iterator[bytes | int | tuple[Any, ...]]:
        """See `ProjectionCost`."""
        numbers = self.channels.numbers, self.positions.numbers
        yield ("moved", self.parts, *map(len, numbers))
        yield from (each.tobytes() for each in numbers)

    def _seen_rows(self, rows: int) -> Seen:
        grid = CoreGrid(len(self.channels.numbers), 1, rows, 1)
        return self.channels.seen.by(grid.channel_starts)

    def _seen_columns(self, columns: int) -> Seen:
        grid = CoreGrid(1, len(self.positions.numbers), 1, columns)
        return self.positions.seen.by(grid.position_starts)

    def load(self, grid: CoreGrid) -> CoreLoad:
        """See `ProjectionCost`."""
        rows, columns = self._rows(grid.rows), self._columns(grid.columns)
        synapses = np.multiply.outer(rows.times, columns.times)
        bits = synapse_bits(synapses, grid.neurons, self.row.delay).astype(float)
        stored = rows.found.astype(float) @ bits @ columns.found.T.astype(float)
        axons = np.outer(rows.found.sum(axis=1), columns.found.sum(axis=1))
        return CoreLoad(self.parts * axons, self.parts * stored.astype(np.int64))

    def output_axons(self, grid: CoreGrid) -> Array:
        """See `ProjectionCost`; those of a sender count where it stands first."""
        runs = np.outer(self._rows(grid.rows).runs, self._columns(grid.columns).runs)
        found = np.zeros((len(self.channels.numbers), len(self.positions.numbers)), np.int64)
        found[np.ix_(self.channels.first, self.positions.first)] = self.parts * runs
        return found.ravel()


def moved_cost(row: Synapses, senders: Array, parts: list[Array]) -> MovedCost | None:
    """The cost if all channels of ``senders``, ``channels x positions``, see those of the first."""
    channels, positions = senders[:, 0] - senders[0, 0], senders[0]
    if not all(part.all() for part in parts):
        return None
    if (senders != channels[:, None] + positions).any():
        return None
    pairs = np.unique(channels).size * np.unique(positions).size
    if distinct(senders) < pairs:
        return None
    return MovedCost(row, channels, positions, len(parts))


def distinct(numbers: Array) -> int:
    """How many different numbers there are; none is negative."""
    found = np.zeros(int(numbers.max(initial=0)) + 1, np.bool_)
    found[numbers] = True
    return int(np.count_nonzero(found))
