"""The report on a compiled network: populations, synapses, latency and cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from qcompiler.backends.energy.causes import Causes
from qcompiler.backends.energy.estimate import Estimate
from qcompiler.backends.loihi.mapping.chip_layout import Layout, lay_out
from qcompiler.backends.loihi.mapping.core_mapping import CoreMapping
from qcompiler.backends.loihi.mapping.mapped_graph import mapped_graph
from qcompiler.ir import Graph
from qcompiler.ir.spiking.integer_network import spiking_nodes

from .chip import Chip
from .host import output_nodes
from .population_report import PopulationReport, population_report


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
            population_report(graph, node, wiring),
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
    return _with_core_mapping(report, mapped_graph(graph, chip)[0]) if chip else report


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
