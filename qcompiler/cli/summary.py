"""What `qcompile` says about the program that it has written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.host import hidden_nodes
from qcompiler.backends.population_report import PopulationReport
from qcompiler.backends.program.calibrated_limits import summarize_calibrated_limits
from qcompiler.backends.program.program import Program
from qcompiler.backends.program.states import carried_states
from qcompiler.backends.report import Report
from qcompiler.ir import Graph
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.manifest.rounding import describe_rounding
from qcompiler.passes.activations.activation_fit import ActivationFit
from qcompiler.search.report import schedule_table
from qcompiler.streaming.pairs import proposed
from qcompiler.terminal.console import print_table, say, screen, warn

from .energy import energy_lines, energy_table


def print_summary(
    given: argparse.Namespace, program: Program, output: Path, model: CostModel | None
) -> None:
    """Say what was compiled, as the options given want it: a table, a few lines, JSON, nothing.

    ``model`` estimates the energy; None is the target's.
    """
    report, energy = program.report(model), program.energy(model=model)
    for text in report.warnings:
        warn(text)
    searched = program.manifest.get("search")
    if given.json:
        search = {"search": searched} if searched else {}
        print(json.dumps({"output": str(output), **report.to_dict(), **search}))
        return
    if given.quiet:
        return
    console = screen()
    if given.verbose:
        print_table(console, *population_table(report))
        console.print()
        print_table(console, *energy_table(energy))
        console.print(f"\npipeline  {program.manifest['pipeline']}", soft_wrap=True)
    if searched:
        print_table(console, *schedule_table(searched))
        console.print()
    unproved = "\n            ".join(report.unproved_checks) if given.verbose else ""
    events = report.synaptic_events_per_frame
    unproved = unproved or summarize_calibrated_limits(program.graph)
    for name, value in (
        ("compiled", f"{given.model.name} for {report.target}, t_max {levels_of(program.graph)}"),
        ("neurons", f"{report.neurons:,} in {len(report.populations)} populations"),
        ("products", _products(program)),
        ("synapses", f"{report.synapses:,} ({events:,.0f} synaptic events per frame)"),
        ("latency", f"last output spike at step {report.latency_steps}"),
        ("throughput", f"one frame every {report.frame_interval_steps} steps"),
        ("states", _states(program)),
        *energy_lines(energy, given.verbose),
        ("chip", _chip(report)),
        ("host", _host(program, given.verbose)),
        ("rounding", describe_rounding(program.manifest.get("rounding", ()))),
        ("guarantees", guarantees(unproved)),
        ("written", str(output)),
    ):
        if value:
            console.print(f"{name:<12}{value}", soft_wrap=True, markup=False)
    if not program.states and (pairs := " ".join(f"--state {s}" for s in proposed(program.graph))):
        say(f"by their names, outputs are states for the next frame: {pairs} carries them")


def population_table(report: Report) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Columns and rows: the populations and their sizes, windows and cores."""
    waiting = any(p.delays for p in report.populations)
    columns = ("population", "kind", "neurons", "synapses", "t_max", "bits", "first", "last")
    columns += (*(("delays",) if waiting else ()), "cores", "fullest core", "nodes")
    return columns, [_row(p, waiting) for p in report.populations]


def guarantees(unproved: str) -> str:
    """What is said of the limits: ``unproved`` are those that rest on calibration data."""
    return f"not proven: {unproved}" if unproved else "all limits proven from the weights"


def levels_of(graph: Graph) -> str:
    """Spike times of the values that are no inputs or outputs."""
    levels = [spikes_of(node.result).t_max for node in hidden_nodes(graph)]
    low, high = min(levels), max(levels)
    return str(low) if low == high else f"{low} to {high}"


def print_fits(fits: Iterable[ActivationFit]) -> None:
    """List the line segments of functions."""
    for found in fits:
        low, high = found.domain
        say(
            f"%{found.node.result.name}: {found.segments} segments{jumps(found.steps)} from "
            f"{low:.4g} to {high:.4g}, error {found.error:.2%} of {found.whole}"
        )


def jumps(count: int) -> str:
    """What is said of jumps beside line segments."""
    return f" and {count} jump{'s' * (count != 1)}" if count else ""


def _products(program: Program) -> str:
    """What products of two values cost."""
    spent = program.manifest.get("product_neurons")
    return f"{spent:,} of the neurons multiply two values" if isinstance(spent, int) else ""


def _states(program: Program) -> str:
    """The states, and what the host has to do with them."""
    known = carried_states(program.graph, program.states)
    each = (f"{c.state.output} to {c.state.input}, {c.code.t_max} levels" for c in known)
    how = "the host carries them between frames (qrun --stream)"
    return f"{'; '.join(each)}: {how}" if known else ""


def _host(program: Program, verbose: bool) -> str:
    """What the host computes: in front of the network, and with ``verbose`` behind it."""
    head = program.prologue
    made = [] if head is None else [node.result.name for node in head.nodes]
    read = [value.name for value in head.outputs if value.name in made] if head else []
    behind = [node.result.name for node in program.host_nodes if node.result.name not in made]
    lines = [f"{', '.join(read)}, in front of the network: only qrun runs it"] if read else []
    lines += [f"{', '.join(behind)}, on decoded outputs"] if behind and verbose else []
    return "\n            ".join(lines)


def _chip(report: Report) -> str:
    if report.chips is None:
        return ""
    chips = "1 chip" if report.chips == 1 else f"{report.chips:,} chips"
    cores = "1 core" if report.cores == 1 else f"{report.cores:,} cores"
    return f"about {cores} on {chips} of {report.chip}"


def _row(p: PopulationReport, waiting: bool) -> tuple[Any, ...]:
    """One line of the table; ``waiting`` adds what is delayed on its way, and by how many steps."""
    bits = "" if p.weight_bits is None else str(p.weight_bits)
    source = ", ".join(p.origin)
    return (
        p.name,
        p.kind,
        p.neurons,
        p.synapses,
        p.t_max,
        bits,
        p.first_step,
        p.last_step,
        *((", ".join(f"{n} by {delay}" for n, delay in p.delays.items()),) if waiting else ()),
        "" if p.cores is None else "shared" if p.shares_core else p.cores,
        _fullest(p.core_use),
        source,
    )


def _fullest(shares: Mapping[str, float] | None) -> str:
    """The resource of a core that runs out first."""
    if not shares:
        return ""
    name = max(shares, key=lambda resource: shares[resource])
    return f"{shares[name]:.0%} {name}"
