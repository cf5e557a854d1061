"""What a compiled network consists of, and when what happens in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qcompiler.ir import Graph, Node
from qcompiler.ir.integer import (
    layer_of,
    neuron_count,
    node_synapses,
    spikes_of,
    spiking_nodes,
    start,
)
from qcompiler.ir.snn import Population
from qcompiler.ir.types import size

from .host import output_nodes
from .netlist import frame_interval


@dataclass(frozen=True)
class PopulationReport:
    """One population; steps count from the start of the frame."""

    name: str
    kind: str
    neurons: int
    synapses: int
    t_max: int
    first_step: int
    last_step: int
    slope_min: int | None
    origin: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Totals and populations of a program. ``synapses`` counts those of clocks, too.

    As every neuron spikes once, ``synapses`` is also the number of synaptic events a frame.
    """

    target: str
    neurons: int
    synapses: int
    latency_steps: int
    frame_interval_steps: int
    unproved_checks: tuple[str, ...]
    populations: tuple[PopulationReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return asdict(self)


def report_of(graph: Graph, target: str, unproved: tuple[str, ...]) -> Report:
    """Gather a report from a scheduled graph."""
    rows = tuple(_population(graph, node) for node in spiking_nodes(graph))
    outputs = {node.result.name for node in output_nodes(graph)}
    return Report(
        target,
        neuron_count(graph),
        sum(row.synapses for row in rows),
        max(row.last_step for row in rows if row.name in outputs),
        frame_interval(graph),
        unproved,
        rows,
    )


def _population(graph: Graph, node: Node) -> PopulationReport:
    code, begin = spikes_of(node.result), start(graph, node.result) or 0
    kind = {"Encode": "input", "First": "first spike"}.get(type(node.op).__name__, "integrate")
    slope = None
    if isinstance(node.op, Population):
        slope = int(layer_of(graph, node).slope.min())
    return PopulationReport(
        node.result.name,
        kind,
        size(code),
        node_synapses(graph, node),
        code.t_max,
        begin,
        begin + code.top,
        slope,
        node.origin,
    )
