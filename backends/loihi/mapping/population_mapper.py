"""Cuts one population into cores: the cheapest grid that fits the limits of a core."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from hashlib import blake2b
from math import inf
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.backends.chip import Chip
from qcompiler.ir.kernels import Array

from .core_grid import CoreGrid, summed_area_table
from .core_mapping import Placement
from .core_usage import RESOURCES, CoreUsage, limits
from .population_costs import PopulationCosts
from .synapse_memory import min_synapse_bits

_GROWTH = 1.2  # from one length of runs to the next
_UNLIMITED = 1 << 62  # more of a resource than any network takes


class GridLoad(NamedTuple):
    """The most input axons and bits of synapses of any core of a grid, and all its input axons."""

    axons: int
    bits: int
    all_axons: int


GridLoads: TypeAlias = dict[tuple[int, int], GridLoad]  # by rows and columns


class PopulationMapper:
    """A population that is to be cut into cores; ``axons`` are its neurons' output axons.

    ``loads`` are those of grids that are known for a population that lies alike.
    """

    def __init__(self, costs: PopulationCosts, axons: Array, chip: Chip, loads: GridLoads) -> None:
        self.loads = loads
        self.name, self.extent, self.chip = costs.group.name, costs.extent, chip
        self.costs, self.projections = costs, costs.projections
        own = CoreGrid(*self.extent)
        for projection in self.projections:
            if projection.row.source == self.name:
                axons = axons + projection.output_axons(own)
        self.axons = summed_area_table(axons.reshape(self.extent), self.extent)
        self._known: dict[CoreGrid, tuple[CoreUsage, float]] = {}

    def digest(self) -> bytes:
        """The same for populations that lie alike, such as those of equal layers."""
        return self.costs.digest + blake2b(np.ascontiguousarray(self.axons).tobytes()).digest()

    def placement(self, grid: CoreGrid) -> Placement:
        """The population on this grid."""
        return Placement(
            self.name,
            grid,
            self.peak_usage(grid),
            sum(projection.synapses for projection in self.projections),
        )

    def peak_usage(self, grid: CoreGrid) -> CoreUsage:
        """The largest use of any core."""
        return self._use(grid)[0]

    def _use(self, grid: CoreGrid) -> tuple[CoreUsage, float]:
        """The largest use of any core, and the price of all, in cores."""
        if grid not in self._known:
            self._known[grid] = self._found(grid)
        return self._known[grid]

    def _found(self, grid: CoreGrid) -> tuple[CoreUsage, float]:
        size = grid.rows, grid.columns
        if size not in self.loads:
            self.loads[size] = _load(self.costs, grid)
        load, sent = self.loads[size], int(grid.sums(self.axons).max())
        peak = CoreUsage(grid.neurons, load.axons, sent, load.bits)
        return peak, grid.cores + float(load.all_axons) / self.chip.output_axons_per_core

    def cheapest(self, unlimited: Collection[str] = ()) -> CoreGrid | None:
        """A grid that fits, if these resources of a core had no end; None if there is none."""
        had = zip(RESOURCES, limits(self.chip), strict=True)
        allowed = CoreUsage(*(_UNLIMITED if name in unlimited else most for name, most in had))
        channels, positions = self.extent
        best, price = None, inf
        for columns in _column_counts(positions, allowed.neurons):
            rows = channels if best is None else min(channels, int(price // columns))
            found = self._coarsest(columns, rows, allowed) if rows else None
            if found and found[1] < price:
                best, price = found
            elif not found and rows == channels:
                break
        return best

    def _coarsest(
        self, columns: int, rows: int, allowed: CoreUsage
    ) -> tuple[CoreGrid, float] | None:
        """The fewest rows up to a number that fit, and their price; None if not even that fits."""
        best, low, high = None, 0, max(1, min(rows, self._least(allowed) // columns))
        while low < rows:
            grid = CoreGrid(*self.extent, high, columns)
            if found := self._price(grid, allowed):
                best, rows = (grid, found), high - 1
            else:
                low = high
            high = min(rows, 2 * high) if best is None else (low + rows + 1) // 2
        return best

    def _least(self, allowed: CoreUsage) -> int:
        """About as many cores as any grid has at least: a number to start from."""
        bits = min_synapse_bits(sum(projection.synapses for projection in self.projections))
        return max(
            self.extent[0] * self.extent[1] // allowed.neurons,
            int(self.axons[-1, -1]) // allowed.output_axons,
            bits // allowed.synapse_bits,
        )

    def _price(self, grid: CoreGrid, allowed: CoreUsage) -> float | None:
        """What a grid costs, in cores; None if a core would hold too much."""
        if grid.neurons > allowed.neurons:
            return None
        peak, price = self._use(grid)
        return price if peak.within(allowed) else None


def _load(costs: PopulationCosts, grid: CoreGrid) -> GridLoad:
    loads = [cost.load(grid) for cost in costs.loads]
    axons, bits = sum(load.axons for load in loads), sum(load.bits for load in loads)
    total = np.broadcast_to(axons, (grid.rows, grid.columns)).sum()
    return GridLoad(int(np.max(axons)), int(np.max(bits)), int(total))


def _column_counts(positions: int, longest: int) -> Iterator[int]:
    """Numbers of runs of places, of rising length up to ``longest``."""
    length, longest = 1, min(positions, longest)
    while True:
        yield -(-positions // length)
        if length == longest:
            return
        length = min(longest, max(length + 1, int(length * _GROWTH)))
