"""The report on a compiled network: populations, synapses, latency and cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from qcompiler.backends.loihi.mapping.chip_layout import Layout, lay_out
from qcompiler.backends.loihi.mapping.core_map import map_to_cores
from qcompiler.backends.loihi.mapping.core_mapping import CoreMapping
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.ir import Graph, Node
from qcompiler.ir.snn import Population, Relay
from qcompiler.ir.spiking.decoded_outputs import split_outputs
from qcompiler.ir.spiking.integer_network import (
    Layer,
    connection,
    layer_of,
    spikes_of,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.spiking.senders import sender, start
from qcompiler.ir.types import size

from .chip import Chip
from .energy.estimate import Causes, Estimate
from .energy.wiring import Wiring
from .host import output_nodes


@dataclass(frozen=True)
class PopulationReport:
    """One population; steps count from the start of the frame.

    ``weight_bits`` is the width, sign included, that the weights of the median output channel use:
    less than requested where potentials would exceed their limit. ``cores`` is the number of cores
    of the target's chip, ``core_use`` the used share of each resource on the fullest core; both
    are None for a target without a chip. If ``shares_core``, its core holds others, too.
    ``delays`` holds the synaptic delays in steps, by source, without those of 0. Where a synapse
    cannot delay enough, a population of kind "relay" does.

    ``synapses`` are those that its neurons receive, with weights of 8 bits: of data, of the clock
    and of their own inhibition. ``energy_uj`` is what a frame costs here, as in `Report`.
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
    shares_core: bool = False
    delays: Mapping[str, int] = field(default_factory=dict)
    energy_uj: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Totals and populations of a program. ``synapses`` are all that are wired.

    ``cores`` and ``chips`` are estimates, and None for a target without a chip, as is ``layout``,
    which says what lies on which chip. ``warnings`` are those of `Program`.

    What a frame costs is estimated by the model ``energy_model`` for an ``activity``: its basis,
    ``calibration`` or ``assumed``, its frames, and its share of values above level 0. Of
    ``energy_uj``, ``total`` is the sum of ``updates``, ``data``, ``clocks`` and ``inhibition``;
    ``zeros`` is a part of ``data``; ``static`` is the energy of cores at rest, apart from
    ``total``. ``edp_ujs`` is energy, static included, times latency, for frames that follow each
    other (``streaming``) and for one alone (``single``). Times are in microseconds, and None, as is
    what needs them, where the model has none. They are those of ``energy_cores`` cores, over which
    the network is spread; ``cores`` is the least number. See `energy.estimate`.
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
    warnings: tuple[str, ...] = ()
    synaptic_events_per_frame: float = 0.0
    neuron_updates_per_frame: int = 0
    energy_model: str = ""
    activity: Mapping[str, Any] = field(default_factory=dict)
    energy_uj: Mapping[str, float | None] = field(default_factory=dict)
    edp_ujs: Mapping[str, float] | None = None
    frame_us: float | None = None
    latency_us: float | None = None
    power_mw: float | None = None
    energy_cores: int | None = None
    layout: Layout | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as data for JSON."""
        return asdict(self)


def build_report(
    graph: Graph, target: str, chip: Chip | None, unproved: tuple[str, ...], found: Estimate
) -> Report:
    """The report on a scheduled graph; ``unproved`` are sentences on calibrated limits."""
    wiring, causes = found.wiring, found.populations
    markers = {source: name for name, source in wiring.marked.items()}
    rows = tuple(
        replace(
            _population(graph, node, wiring),
            energy_uj=_with_markers(causes, markers, node.result.name).to_dict(),
        )
        for node in spiking_nodes(graph)
    )
    outputs = {node.result.name for node in output_nodes(graph)}
    report = Report(
        target,
        wiring.sending_neurons,
        wiring.synapses,
        max(row.last_step for row in rows if row.name in outputs),
        wiring.interval,
        unproved,
        rows,
        synaptic_events_per_frame=found.events,
        **found.to_dict(),
    )
    return (
        _with_core_mapping(report, map_to_cores(build_netlist(graph), chip)[0]) if chip else report
    )


def _with_markers(causes: Mapping[str, Causes], markers: Mapping[str, str], name: str) -> Causes:
    """The energy of a population and its markers."""
    own, marker = causes[name], causes[markers[name]] if name in markers else Causes()
    return Causes(*(a + b for a, b in zip(vars(own).values(), vars(marker).values(), strict=True)))


def _with_core_mapping(report: Report, mapping: CoreMapping) -> Report:
    on = {placement.population: placement for placement in mapping.placements}
    shared = {name for group in mapping.shared for name in group}
    rows = tuple(
        replace(
            row,
            cores=on[row.name].cores,
            core_use=on[row.name].peak_usage.shares(mapping.chip),
            shares_core=row.name in shared,
        )
        if row.name in on
        else row
        for row in report.populations
    )
    chip = mapping.chip.name
    found = replace(report, populations=rows, chip=chip, cores=mapping.cores, chips=mapping.chips)
    return replace(found, layout=lay_out(mapping))


def _population(graph: Graph, node: Node, wiring: Wiring) -> PopulationReport:
    code, begin = spikes_of(node.result), start(graph, node.result) or 0
    kind = {"Encode": "input", "First": "first spike"}.get(type(node.op).__name__, "integrate")
    bits, delays = None, dict[str, int]()
    if isinstance(node.op, Population):
        layer = layer_of(graph, node)
        delays = _delays(graph, layer)
        if not node.origin and isinstance(connection(layer.synapses[0]), Relay):
            kind = "relay"
        else:
            bits = _weight_bits(graph, layer)
    return PopulationReport(
        node.result.name,
        kind,
        size(code),
        wiring.synapses_into(node.result.name),
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


def _weight_bits(graph: Graph, layer: Layer) -> int:
    """Of its weights, without those by which higher digits inhibit a digit of an output."""
    pieces = {piece.result.name for _, found in split_outputs(graph) for piece in found}
    synapses = [s for s in layer.synapses if sender(graph, s.operands[0]).result.name not in pieces]
    factor = 1 if any(np.any(weight_of(s) & 1) for s in synapses) else 2
    outputs = layer.spikes.shape[0] if layer.spikes.shape else 1
    found = np.zeros(outputs)
    for synapse in synapses:
        rows = weight_of(synapse).reshape(len(weight_of(synapse)), -1).astype(np.float64)
        found = np.maximum(found, np.abs(rows).max(axis=1))
    reach = np.median(found)
    return int(np.ceil(np.log2(reach / factor + 1))) + 1
