"""Maps a netlist onto the cores of a chip: number of cores, and neurons that do not fit.

An estimate from public numbers (see `chips` for their sources); Intel's compiler decides. A core
holds a run of a population's channels at a run of its places, and has

- neurons,
- input axons and synapse memory: synapses are stored where they arrive (see `projection_cost`),
- output axons: every neuron takes one for each core it sends to and each list of synapses there,
  its own inhibition included.

All the cores of a population are alike, up to one channel and one place. Runs of places are tried
in lengths that grow by a fifth, each with the longest run of channels that fits. The cheapest wins:
its cores count, and as parts of cores the output axons that it demands from its senders.
Populations that need one core each share it where it holds several. Inputs live off the chip. The
clock's neurons have no inputs and are copied as often as their output axons demand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from hashlib import blake2b
from math import inf

import numpy as np

from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, Synapses
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .core_grid import CoreGrid, channels_and_positions, summed_area_table
from .core_usage import RESOURCES, CoreUsage, limits
from .projection_cost import ProjectionCost, cost_of, min_synapse_bits
from .shared_cores import shared_cores

_GROWTH = 1.2  # from one length of runs to the next
_UNLIMITED = 1 << 62  # more of a resource than any network takes

Axons = dict[str, Array]  # output axons of every neuron, by population
Traffic = dict[tuple[str, str], int]  # messages if every neuron spikes once, by sender and reader


@dataclass(frozen=True)
class Placement:
    """A population on its cores; ``peak_usage`` is the largest use of each resource on a core."""

    population: str
    grid: CoreGrid
    peak_usage: CoreUsage
    synapses: int

    @property
    def cores(self) -> int:
        return self.grid.cores


@dataclass(frozen=True)
class CoreMapping:
    """All populations on cores; ``clocks`` are cores with clock neurons.

    ``shared`` has the populations of every core that holds several, ``messages`` the cores that a
    spike of each population goes to, on average over its neurons. ``traffic`` has the messages of a
    frame in which every neuron of a population, or of an input, spikes once.
    """

    chip: Chip
    placements: tuple[Placement, ...]
    clocks: int
    shared: tuple[tuple[str, ...], ...] = ()
    messages: Mapping[str, float] = field(default_factory=dict)
    traffic: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def cores(self) -> int:
        saved = sum(len(group) - 1 for group in self.shared)
        return self.clocks + sum(placement.cores for placement in self.placements) - saved

    @property
    def chips(self) -> int:
        return -(-self.cores // self.chip.cores)


def map_to_cores(netlist: Netlist, chip: Chip) -> tuple[CoreMapping, tuple[Diagnostic, ...]]:
    """Map every population to cores; also list the neurons that do not fit on one core.

    The mapping of a population with such neurons ignores the limit that they exceed.
    """
    sizes = {group.name: group.size for group in netlist.populations}
    axons: Axons = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    placements: list[Placement] = []
    findings: list[Diagnostic] = []
    traffic: Traffic = {}
    clock_axons = 0
    known: dict[bytes, CoreGrid | None] = {}
    for group in reversed(netlist.populations):  # what a neuron reaches is known before it is
        mapper = _PopulationMapper(group, netlist.synapses, axons[group.name], chip)
        alike = mapper.digest()
        if alike not in known:
            known[alike] = mapper.cheapest()
        grid = known[alike]
        if grid is None:
            single = mapper.peak_usage(CoreGrid(*mapper.extent, *mapper.extent))
            findings[:0] = _oversized_neuron(group, single, chip)
            # Ignore the exceeded resources, so that the layers before are not reported as well.
            grid = mapper.cheapest({what for what, n, most in single.against(chip) if n > most})
            assert grid is not None
        placements.insert(0, mapper.placement(grid))
        clock_axons += _add_output_axons(mapper.projections, grid, axons, traffic)
    clocks, shared = _clock_cores(netlist, chip, clock_axons), _shared(placements, chip)
    messages = {name: float(found.mean()) for name, found in axons.items()}
    mapping = CoreMapping(chip, tuple(placements), clocks, shared, messages, traffic)
    return mapping, tuple(findings)


def _shared(placements: list[Placement], chip: Chip) -> tuple[tuple[str, ...], ...]:
    """Populations that share a core, which gets no more neurons than the fullest has anyway."""
    small = {p.population: p.peak_usage for p in placements if p.cores == 1}
    fullest = max((p.peak_usage.neurons for p in placements), default=0)
    return shared_cores(small, replace(limits(chip), neurons=fullest))


def _clock_cores(netlist: Netlist, chip: Chip, axons: int) -> int:
    """Cores for the clock's neurons, whose output axons are these."""
    neurons = -(-len(netlist.ticks) // chip.neurons_per_core)
    return max(neurons, -(-axons // chip.output_axons_per_core))


def _add_output_axons(
    projections: list[ProjectionCost], grid: CoreGrid, axons: Axons, traffic: Traffic
) -> int:
    """Add the output axons that lead to the cores of a grid; return the number of the clock's."""
    clock_axons = 0
    for projection in projections:
        row, count = projection.row, projection.output_axons(grid)
        if row.source == CLOCK:
            clock_axons += int(count.sum())
            continue
        if row.source != row.target:
            pair = row.source, row.target
            traffic[pair] = traffic.get(pair, 0) + int(count.sum())
        if row.source in axons and row.source != row.target:
            total = axons[row.source]
            numbers = np.arange(count.size) if row.order is None else np.ravel(row.order)
            np.add.at(total, numbers, count)
    return clock_axons


class _PopulationMapper:
    """A population that is to be cut into cores; ``axons`` are its neurons' output axons."""

    def __init__(
        self, group: Population, rows: tuple[Synapses, ...], axons: Array, chip: Chip
    ) -> None:
        self.name, self.extent, self.chip = group.name, channels_and_positions(group), chip
        self.projections = [cost_of(row, group) for row in rows if row.target == group.name]
        own = CoreGrid(*self.extent)
        for projection in self.projections:
            if projection.row.source == self.name:
                axons = axons + projection.output_axons(own)
        self.axons = summed_area_table(axons.reshape(self.extent), self.extent)

    def digest(self) -> bytes:
        """The same for populations that lie alike, such as those of equal layers."""
        found = blake2b(repr(self.extent).encode())
        arrays = [self.axons]
        for projection in self.projections:
            row = projection.row
            rest = replace(row, source=str(row.source == self.name), target="", weights=0, order=0)
            found.update(repr(rest).encode())
            arrays += [np.asarray(row.weights)]
            arrays += [np.asarray([] if row.order is None else row.order)]
        for array in arrays:
            found.update(f"{array.shape} {array.dtype}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.digest()

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
        loads = [projection.load(grid) for projection in self.projections]
        axons, bits = sum(load.axons for load in loads), sum(load.bits for load in loads)
        sent = grid.sums(self.axons)
        peak = CoreUsage(grid.neurons, *(int(np.max(found)) for found in (axons, sent, bits)))
        total = np.broadcast_to(axons, sent.shape).sum()
        return peak, grid.cores + float(total) / self.chip.output_axons_per_core

    def cheapest(self, unlimited: Collection[str] = ()) -> CoreGrid | None:
        """A grid that fits, if these resources of a core had no end; None if there is none."""
        had = zip(RESOURCES, astuple(limits(self.chip)), strict=True)
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
        fits = (
            peak.input_axons <= allowed.input_axons
            and peak.output_axons <= allowed.output_axons
            and peak.synapse_bits <= allowed.synapse_bits
        )
        return price if fits else None


def _column_counts(positions: int, longest: int) -> Iterator[int]:
    """Numbers of runs of places, of rising length up to ``longest``."""
    length, longest = 1, min(positions, longest)
    while True:
        yield -(-positions // length)
        if length == longest:
            return
        length = min(longest, max(length + 1, int(length * _GROWTH)))


_HINTS: Mapping[str, str] = {
    "input axons": "pool before the layer, or prune it: every neuron that one reads takes an axon",
    "output axons": "prune or narrow the layers that read it: every core they lie on takes an axon",
    "bits of synapses": "pool before the layer, or prune it: one neuron's weights fill the memory",
}


def _oversized_neuron(group: Population, single: CoreUsage, chip: Chip) -> Iterator[Diagnostic]:
    """What one neuron needs and a core of the chip has not."""
    for what, used, allowed in single.against(chip):
        if used > allowed:
            message = (
                f"one neuron of %{group.name} needs {used} {what}, "
                f"a core of {chip.name} has {allowed}"
            )
            yield Diagnostic(message, group.origin, _HINTS[what])
