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

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, marked_name
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .core_grid import CoreGrid
from .core_load import ProjectionCost
from .core_mapping import CoreMapping, Placement
from .core_usage import CoreUsage, limits
from .population_costs import Costs, PopulationCosts, rows_onto
from .population_mapper import GridLoads, PopulationMapper
from .shared_cores import shared_cores

Axons = dict[str, Array]  # output axons of every neuron, by population
Loads = dict[bytes, GridLoads]  # by the digest of a population's costs
Traffic = dict[tuple[str, str], int]  # messages if every neuron spikes once, by sender and reader


def map_to_cores(
    netlist: Netlist, chip: Chip, costs: Costs | None = None, loads: Loads | None = None
) -> tuple[CoreMapping, tuple[Diagnostic, ...]]:
    """Map every population to cores; also list the neurons that do not fit on one core.

    The mapping of a population with such neurons ignores the limit that they exceed. ``costs`` are
    those of the netlist, if they are known; ``loads`` what other mappings have found, and this one.
    """
    sizes = {group.name: group.size for group in netlist.populations}
    axons: Axons = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    placements: list[Placement] = []
    findings: list[Diagnostic] = []
    traffic: Traffic = {}
    clock_axons = 0
    known: dict[bytes, CoreGrid | None] = {}
    loads = {} if loads is None else loads
    rows = rows_onto(netlist)
    for group in reversed(netlist.populations):  # what a neuron reaches is known before it is
        cost = costs[group.name] if costs else PopulationCosts(group, rows[group.name])
        mapper = PopulationMapper(cost, axons[group.name], chip, loads.setdefault(cost.digest, {}))
        alike = mapper.digest()
        if alike not in known:
            known[alike] = mapper.cheapest()
        grid = known[alike]
        if grid is None:
            single = mapper.peak_usage(CoreGrid(*mapper.extent, *mapper.extent))
            marked = any(marked_name(row.source) != row.source for row in rows[group.name])
            findings[:0] = _oversized_neuron(group, single, chip, marked)
            # Ignore the exceeded resources, so that the layers before are not reported as well.
            grid = mapper.cheapest({what for what, n, most in single.against(chip) if n > most})
            assert grid is not None
        placements.insert(0, mapper.placement(grid))
        clock_axons += _add_output_axons(mapper.projections, grid, axons, traffic)
    clocks, shared = _clock_cores(netlist, chip, clock_axons), _shared(placements, chip)
    messages = _messages(netlist, traffic, clock_axons)
    mapping = CoreMapping(chip, tuple(placements), clocks, shared, messages, traffic)
    return mapping, tuple(findings)


def _shared(placements: list[Placement], chip: Chip) -> tuple[tuple[str, ...], ...]:
    """Populations that share a core, which gets no more neurons than the fullest has anyway."""
    small = {p.population: p.peak_usage for p in placements if p.cores == 1}
    fullest = max((p.peak_usage.neurons for p in placements), default=0)
    return shared_cores(small, limits(chip)._replace(neurons=fullest))


def _clock_cores(netlist: Netlist, chip: Chip, axons: int) -> int:
    """Cores for the clock's neurons, whose output axons are these."""
    neurons = -(-len(netlist.ticks) // chip.neurons_per_core)
    return max(neurons, -(-axons // chip.output_axons_per_core))


def _messages(netlist: Netlist, traffic: Traffic, clock_axons: int) -> dict[str, float]:
    """Messages of a spike by sender, on average; those of the clock are its output axons."""
    total = defaultdict(int, {CLOCK: clock_axons})
    for (sender, _), count in traffic.items():
        total[sender] += count
    neurons = {source.name: prod(source.shape) for source in netlist.sources}
    neurons |= {group.name: group.size for group in netlist.populations}
    neurons[CLOCK] = len(netlist.ticks)
    return {name: total[name] / max(1, size) for name, size in neurons.items()}


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
            if row.order is not None:
                count = np.bincount(np.ravel(row.order), count, total.size).astype(np.int64)
            total[: count.size] += count  # without an order the leading senders, maybe not all
    return clock_axons


_HINTS: Mapping[str, str] = {
    "input axons": "pool before the layer, or prune it: every neuron that one reads takes an axon",
    "output axons": "prune or narrow the layers that read it: every core they lie on takes an axon",
    "bits of synapses": "pool before the layer, or prune it: one neuron's weights fill the memory",
}


_SILENT = (
    "use another --code than silent, whose markers take half of them: auto uses it where it fits"
)


def _oversized_neuron(
    group: Population, single: CoreUsage, chip: Chip, marked: bool
) -> Iterator[Diagnostic]:
    """What one neuron needs and a core of the chip has not; ``marked``: it reads markers."""
    for what, used, allowed in single.against(chip):
        if used > allowed:
            message = (
                f"one neuron of %{group.name} needs {used} {what}, "
                f"a core of {chip.name} has {allowed}"
            )
            enough = marked and what != "output axons" and used <= 2 * allowed
            yield Diagnostic(message, group.origin, _SILENT if enough else _HINTS[what])
