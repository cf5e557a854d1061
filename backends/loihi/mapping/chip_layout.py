"""Lays the cores of a network out on several chips, with little traffic between them.

Chips stand in a row, as few as hold the cores. Cores stay in the order of their populations, and
each chip takes a run of them. A message to a core on a chip further on passes every chip between.
Of all such cuts, the one with the least traffic is found by dynamic programming.

Traffic is counted as if every neuron spiked once a frame, and as if messages between two
populations were spread evenly over their cores. Clocks are copied to where they are heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

from .core_mapping import CoreMapping
from .core_usage import RESOURCES


class Run(NamedTuple):
    """The cores of a population in the row of all cores: ``first`` to ``first + cores``."""

    first: int
    cores: int

    def before(self, place: Array) -> Array:
        """The share of these cores that lies before a place."""
        found: Array = np.clip((place - self.first) / self.cores, 0, 1)
        return found


@dataclass(frozen=True)
class ChipTable:
    """One chip: its cores, those of clocks included, and how many of them each population has.

    ``use`` is the mean over its cores with populations of the share that is used of what a core
    runs out of first.
    """

    cores: int
    populations: Mapping[str, int]
    use: float


@dataclass(frozen=True)
class Layout:
    """Chips in a row. ``links`` are messages in a frame between each chip and the next, both ways.

    ``messages`` are all between populations, ``inputs`` those from the host.
    """

    chips: tuple[ChipTable, ...]
    links: tuple[int, ...]
    messages: int
    inputs: int
    use: float


def lay_out(mapping: CoreMapping) -> Layout:
    """The layout of a network that is mapped onto cores."""
    runs = _runs(mapping)
    total, rooms = mapping.cores - mapping.clocks, _rooms(mapping)
    between = {pair: n for pair, n in mapping.traffic.items() if pair[0] in runs}
    crossing = _crossing(between, runs, np.arange(total + 1))
    ends = _cuts(rooms, total, crossing)
    places = [0, *ends]
    uses = _uses(mapping, runs)
    tables = [
        _table(mapping.chip.cores - room, a, b, runs, uses)
        for room, a, b in zip(rooms, places[:-1], ends, strict=True)
    ]
    links = crossing[places[1:-1]]
    inputs = sum(mapping.traffic.values()) - sum(between.values())
    mean = float(uses.mean()) if total else 0.0
    return Layout(
        tuple(tables), tuple(round(n) for n in links.tolist()), sum(between.values()), inputs, mean
    )


def _runs(mapping: CoreMapping) -> dict[str, Run]:
    """The cores of each population; those that share one stand where the first of them does."""
    together = {name: group for group in mapping.shared for name in group}
    runs: dict[str, Run] = {}
    first = 0
    for placement in mapping.placements:
        if placement.population not in runs:
            run = Run(first, placement.cores)
            runs |= dict.fromkeys(together.get(placement.population, (placement.population,)), run)
            first += run.cores
    return runs


def _rooms(mapping: CoreMapping) -> list[int]:
    """The cores for populations on each chip, beside those of the clocks that it has."""
    each, more = divmod(mapping.clocks, max(1, mapping.chips))
    return [mapping.chip.cores - each - (k < more) for k in range(max(1, mapping.chips))]


def _crossing(traffic: Mapping[tuple[str, str], int], runs: Mapping[str, Run], at: Array) -> Array:
    """Messages that pass each of these places in the row, either way."""
    total = np.zeros(len(at))
    for (source, target), messages in traffic.items():
        one, other = runs[source].before(at), runs[target].before(at)
        total += messages * (one * (1 - other) + other * (1 - one))
    return total


def _cuts(rooms: Sequence[int], total: int, crossing: Array) -> list[int]:
    """Where the run of cores of each chip ends, such that the least traffic crosses the cuts.

    ``crossing`` is the traffic past each place.
    """
    most = np.minimum(np.cumsum(rooms), total)
    least = np.maximum(0, total - np.cumsum([0, *rooms[:0:-1]])[::-1])
    ends, costs = [np.array([0])], [np.zeros(1)]
    chosen = list[Array]()
    for room, low, high in zip(rooms, least, most, strict=True):
        places = np.arange(low, high + 1)
        length = places[:, None] - ends[-1]
        found = np.where((length >= 0) & (length <= room), costs[-1], np.inf)
        chosen.append(found.argmin(axis=1))
        ends.append(places)
        costs.append(found.min(axis=1) + crossing[places])
    at, cuts = len(ends[-1]) - 1, list[int]()
    for index in range(len(rooms), 0, -1):
        cuts.insert(0, int(ends[index][at]))
        at = int(chosen[index - 1][at])
    return cuts


def _uses(mapping: CoreMapping, runs: Mapping[str, Run]) -> Array:
    """What is used of each core, in the row: the largest share of any resource."""
    total = mapping.cores - mapping.clocks
    shares = np.zeros((total, len(RESOURCES)))
    for placement in mapping.placements:
        first, cores = runs[placement.population]
        used = placement.peak_usage.shares(mapping.chip)
        shares[first : first + cores] += [used[name] for name in RESOURCES]
    found: Array = shares.max(axis=1)
    return found


def _table(clocks: int, begin: int, end: int, runs: Mapping[str, Run], uses: Array) -> ChipTable:
    shared = {
        name: min(end, run.first + run.cores) - max(begin, run.first) for name, run in runs.items()
    }
    populations = {name: cores for name, cores in shared.items() if cores > 0}
    use = float(uses[begin:end].mean()) if end > begin else 0.0
    return ChipTable(end - begin + clocks, populations, use)
