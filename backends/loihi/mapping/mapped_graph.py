"""Compiled graphs on the cores of chips, each mapped once: checks and reports share the result."""

from __future__ import annotations

from typing import TypeAlias
from weakref import WeakKeyDictionary

from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import Netlist
from qcompiler.ir import Diagnostic, Graph

from .core_map import Loads, map_to_cores
from .core_mapping import CoreMapping

Mapped: TypeAlias = tuple[CoreMapping, tuple[Diagnostic, ...]]
_KNOWN: WeakKeyDictionary[Graph, dict[Chip, Mapped]] = WeakKeyDictionary()
_LOADS: WeakKeyDictionary[Graph, Loads] = WeakKeyDictionary()


def mapped_graph(graph: Graph, chip: Chip, netlist: Netlist | None = None) -> Mapped:
    """As `map_to_cores`; ``netlist`` is that of the graph, if it is known."""
    known = _KNOWN.setdefault(graph, {})
    if chip not in known:
        known[chip] = map_to_cores(netlist or build_netlist(graph), chip, loads=loads_of(graph))
    return known[chip]


def loads_of(graph: Graph) -> Loads:
    """What is known of the loads of cores that hold a graph's populations; chips share it."""
    return _LOADS.setdefault(graph, {})
