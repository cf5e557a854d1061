"""Ways to place a network onto the cores of a chip."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.backends.chip import Chip
from qcompiler.backends.energy.cores import Cores
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.loihi.mapping.core_map import map_to_cores
from qcompiler.backends.loihi.mapping.core_mapping import CoreMapping
from qcompiler.backends.loihi.mapping.mapped_graph import loads_of
from qcompiler.backends.loihi.mapping.population_costs import costs_of
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.ir import Graph


def placements_of(graph: Graph, chip: Chip, model: CostModel) -> tuple[Cores, ...]:
    """Ways to place a network onto this chip: on few cores, and on more with fewer neurons each.

    The first has no more neurons on a core than the model's cores hold. Each further one halves the
    neurons of the fullest core, as long as the network stays on one chip, or on a system of as many
    chips: 1, 2, 4, 8, ...
    """
    neurons = min(chip.neurons_per_core, model.neurons_per_core)
    netlist, found = build_netlist(graph), list[Cores]()
    costs, chips = costs_of(netlist), 0
    while neurons:
        fewer = replace(chip, neurons_per_core=neurons)
        mapping, _ = map_to_cores(netlist, fewer, costs, loads_of(graph))
        if found and mapping.chips > chips:
            break
        chips = chips or 1 << (mapping.chips - 1).bit_length()
        found.append(_cores(mapping))
        neurons = found[-1].fullest // 2
    return tuple(found)


def _cores(mapping: CoreMapping) -> Cores:
    counts = {placement.population: placement.cores for placement in mapping.placements}
    fullest = max((p.peak_usage.neurons for p in mapping.placements), default=0)
    return Cores(counts, mapping.cores, fullest, mapping.shared, mapping.messages)
