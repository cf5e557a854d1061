"""The projections onto every population of a netlist: what mappings onto several chips share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import TypeAlias

from qcompiler.backends.loihi.netlist.netlist import Netlist, Population, Synapses

from .convolution_cost import loads_of
from .core_grid import channels_and_positions
from .projection_cost import cost_of

Costs: TypeAlias = "Mapping[str, PopulationCosts]"


class PopulationCosts:
    """A population and the projections onto it."""

    def __init__(self, group: Population, rows: Iterable[Synapses]) -> None:
        self.group, self.extent = group, channels_and_positions(group)
        self.projections = [cost_of(row, group) for row in rows]
        self.loads = loads_of(self.projections)

    @cached_property
    def digest(self) -> bytes:
        """The same for populations of projections that are alike, such as those of equal layers."""
        found = blake2b(repr(self.extent).encode())
        for projection in self.projections:
            own = projection.row.source == self.group.name
            found.update(f"{own} {projection.row.kind} {projection.row.delay}".encode())
            for part in projection.shape:
                found.update(repr(part).encode() if isinstance(part, int | tuple) else part)
        return found.digest()


def rows_onto(netlist: Netlist) -> Mapping[str, list[Synapses]]:
    """The rows of synapses onto every population, by name."""
    rows = defaultdict[str, list[Synapses]](list)
    for row in netlist.synapses:
        rows[row.target].append(row)
    return rows


def costs_of(netlist: Netlist) -> Costs:
    """The costs of all populations, by name."""
    rows = rows_onto(netlist)
    return {group.name: PopulationCosts(group, rows[group.name]) for group in netlist.populations}
