"""What a compiled network consists of, and when what happens in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from qcompiler.backends.loihi.mapping.core_map import CoreMapping, map_to_cores
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist, frame_interval
from qcompiler.ir import Graph, Node
from qcompiler.ir.snn import Population, Relay
from qcompiler.ir.spiking.integer_network import (
    Layer,
    connection,
    layer_of,
    neuron_count,
    node_synapses,
    sender,
    spikes_of,
    spiking_nodes,
    start,
    weight_of,
)
from qcompiler.ir.types import size

from .chip import Chip
from .host import output_nodes


@dataclass(frozen=True)
class PopulationReport:
    """One population; steps count from the start of the frame.

    ``weight_bits`` are the bits that the weights of its middling output channel make use of, sign
    included: fewer than were asked for where potentials would not fit. ``cores`` is how many cores
    of the target's chip it takes, ``core_use`` the share that it uses of each resource on its
    fullest core; both are unknown for a target without a chip. ``delays`` are the steps that the
    spikes of a source wait for those of others, by the name of the source, if they do; what no
    synapse can delay waits in a population of kind "relay".
    """

    name: str
    kind: str
    neurons: int
    synapses: int
    t_max: int
    first_step: int
    last_step: int
    weight_bits: int | None
    origin: tuple[str, ...]
    cores: int | None = None
    core_use: Mapping[str, float] | None = None
    delays: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Totals and populations of a program. ``synapses`` counts those of clocks, too.

    As every neuron spikes once, ``synapses`` is also the number of synaptic events a frame.
    ``cores`` and ``chips`` are an estimate, unknown for a target without a chip.
    """

    target: str
    neurons: int
    synapses: int
    latency_steps: int
    frame_interval_steps: int
    unproved_checks: tuple[str, ...]
    populations: tuple[PopulationReport, ...]
    chip: str | None = None
    cores: int | None = None
    chips: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return asdict(self)


def build_report(graph: Graph, target: str, chip: Chip | None, unproved: tuple[str, ...]) -> Report:
    """Gather a report from a scheduled graph."""
    rows = tuple(_population(graph, node) for node in spiking_nodes(graph))
    outputs = {node.result.name for node in output_nodes(graph)}
    report = Report(
        target,
        neuron_count(graph),
        sum(row.synapses for row in rows),
        max(row.last_step for row in rows if row.name in outputs),
        frame_interval(graph),
        unproved,
        rows,
    )
    return (
        _with_core_mapping(report, map_to_cores(build_netlist(graph), chip)[0]) if chip else report
    )


def _with_core_mapping(report: Report, mapping: CoreMapping) -> Report:
    on = {placement.population: placement for placement in mapping.placements}
    rows = tuple(
        replace(
            row, cores=on[row.name].cores, core_use=on[row.name].peak_usage.shares(mapping.chip)
        )
        if row.name in on
        else row
        for row in report.populations
    )
    chip = mapping.chip.name
    return replace(report, populations=rows, chip=chip, cores=mapping.cores, chips=mapping.chips)


def _population(graph: Graph, node: Node) -> PopulationReport:
    code, begin = spikes_of(node.result), start(graph, node.result) or 0
    kind = {"Encode": "input", "First": "first spike"}.get(type(node.op).__name__, "integrate")
    bits, delays = None, dict[str, int]()
    if isinstance(node.op, Population):
        layer = layer_of(graph, node)
        delays = _delays(graph, layer)
        if not node.origin and isinstance(connection(layer.synapses[0]), Relay):
            kind = "relay"
        else:
            bits = _weight_bits(layer)
    return PopulationReport(
        node.result.name,
        kind,
        size(code),
        node_synapses(graph, node),
        code.t_max,
        begin,
        begin + code.top,
        bits,
        node.origin,
        delays=delays,
    )


def _delays(graph: Graph, layer: Layer) -> dict[str, int]:
    found: dict[str, int] = {}
    for synapse in layer.synapses:
        name, delay = sender(graph, synapse.operands[0]).result.name, connection(synapse).delay
        if delay:
            found[name] = max(delay, found.get(name, 0))
    return found


def _weight_bits(layer: Layer) -> int:
    factor = 1 if any(np.any(weight_of(s) & 1) for s in layer.synapses) else 2
    outputs = layer.spikes.shape[0] if layer.spikes.shape else 1
    found = np.zeros(outputs)
    for synapse in layer.synapses:
        rows = weight_of(synapse).reshape(len(weight_of(synapse)), -1).astype(np.float64)
        found = np.maximum(found, np.abs(rows).max(axis=1))
    reach = np.median(found)
    return int(np.ceil(np.log2(reach / factor + 1))) + 1
