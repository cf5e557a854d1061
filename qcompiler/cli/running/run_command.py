"""What `qrun` does, once its command line is read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler import api, data
from qcompiler.backends.host import Measured
from qcompiler.backends.loihi.standalone.files import save_arrays
from qcompiler.backends.plots.canvas import need, shown
from qcompiler.backends.plots.energy_plot import energy_figure
from qcompiler.backends.plots.inline_svg import svg_file
from qcompiler.backends.program.calibrated_limits import (
    describe_calibrated_limits,
    summarize_calibrated_limits,
)
from qcompiler.backends.program.program import Program
from qcompiler.cli.eight_bit import beside_eight_bits, print_eight_bits
from qcompiler.cli.energy import against_lines, chosen_model, energy_lines, energy_table
from qcompiler.cli.outputs import check_places, write_file, write_text
from qcompiler.cli.report import check_report, run_report
from qcompiler.cli.summary import guarantees
from qcompiler.comparison.against import OutputAgainst, compare_with_model
from qcompiler.comparison.onnxruntime_faults import onnxruntime_faults
from qcompiler.comparison.program_inputs import guessing, range_findings
from qcompiler.data.scores import predictions
from qcompiler.explain.diagnosis import Explanation, explain
from qcompiler.explain.page import page
from qcompiler.explain.text import print_explanation
from qcompiler.report.page import check_modules
from qcompiler.report.subject import Run
from qcompiler.terminal.amounts import quantity
from qcompiler.terminal.console import print_table, progress, screen, warn

from .info import print_info
from .runs import run_program


def run(given: argparse.Namespace) -> int:
    """Run, measure and print; returns the exit status."""
    model = chosen_model(given)
    _check_places(given)
    check_report(given)
    if given.plot is not None:
        need("matplotlib")
    if given.page is not None:
        check_modules()
    program = api.load(given.program)
    if given.info:
        print_info(given, program, model)
        return 0
    if given.against is not None:
        for finding in onnxruntime_faults(given.against):
            warn(finding.text)
    ran = run_program(program, given)
    found, measured, reference = ran.frames, ran.measured, ran.reference
    if ran.skipped:
        warn(data.skipped_text(ran.skipped))
    if ran.interrupted:
        done = measured.counters.frames
        warn(f"interrupted: results are those of {done:,} of {len(found):,} frames")
    against = (
        None if reference is None else compare_with_model(measured.outputs, reference, found.labels)
    )
    figures = _figures(program, measured, found, reference, given.engine)
    energy = program.energy(measured.counters, model)
    if given.stream:
        figures["states"] = [str(state) for state in program.states]
    figures |= energy.to_dict()
    others = program.alternatives(measured.counters, model) if given.against else None
    figures |= {"skipped": len(ran.skipped), "interrupted": ran.interrupted}
    figures["energy_against"] = others.to_dict() if others else None
    figures["outputs"] = None if against is None else {one.name: one.to_dict() for one in against}
    _warn(program, found, figures, measured, given.against)
    if given.output is not None:
        write_file(given.output, "-o", lambda path: save_arrays(path, measured.outputs))
    if given.plot is not None:
        total = quantity(energy.causes.total * 1e-6, "J")
        title = f"{given.program.name}: {total} a frame ({energy.model.name} model)"
        figure = energy_figure(energy.populations, shown(title, 70))
        write_text(given.plot, "--plot", svg_file(figure))
    ties = _ties(measured, found.labels)
    if given.report is not None:
        errors = tuple((one.name, str(one)) for one in against or ())
        told = figures | {"ties": ties}
        drawn = Run(measured, found, told, given.engine, reference, errors, others)
        text = run_report(program, given.program.name, model, drawn, given.frame)
        write_text(given.report, "--report", text)
    explanation = _explained(program, found, given) if given.explain else None
    quantised = beside_eight_bits(program, given.against, found, given) if explanation else None
    if given.json:
        told = {"explain": explanation.to_dict()} if explanation else {}
        told |= {"eight_bit": quantised.to_dict()} if quantised else {}
        print(json.dumps(figures | told))
        return int(ran.interrupted)
    short = summarize_calibrated_limits(program.graph, measured.counters, given.engine)
    checks = figures["unproved_checks"] if given.verbose else [short]
    if given.verbose:
        print_table(screen(), *energy_table(energy))
        print()
    lines = [*energy_lines(energy, given.verbose), *(against_lines(others) if others else ())]
    _print_figures(figures, checks, ties, _error_lines(against or ()), lines)
    if quantised is not None:
        print_eight_bits(quantised)
    if explanation is not None:
        print_explanation(explanation)
    return int(ran.interrupted)


def _explained(program: Program, found: data.Frames, given: argparse.Namespace) -> Explanation:
    with progress("explaining", given.quiet) as bar:
        explanation = explain(program, given.against, found, bar)
    if given.page is not None:
        text = page(explanation, given.program.name, given.against.name)
        write_text(given.page, "--page", text)
    return explanation


def _figures(
    program: Program,
    measured: Measured,
    found: data.Frames,
    reference: Mapping[str, np.ndarray[Any, Any]] | None,
    engine: str,
) -> dict[str, Any]:
    counters, neurons = measured.counters, program.wiring.sending_neurons
    scores = next(iter(measured.outputs.values()))
    ours = predictions(scores, found.labels)
    if found.labels is not None and ours is not None and scores.dtype.kind != "i":
        data.check_labels(found.labels, scores[0].size)
    theirs = None
    if reference is not None:
        theirs = predictions(next(iter(reference.values())), found.labels)
    return {
        "frames": counters.frames,
        "accuracy": _share(ours, found.labels),
        "ann_accuracy": _share(theirs, found.labels),
        "agreement": _share(ours, theirs),
        "spikes_per_neuron": counters.spikes / counters.frames / neurons,
        "synaptic_events_per_frame": counters.events / counters.frames,
        "latency_steps": counters.last,
        "first_spike_steps": counters.first / counters.frames,
        "frame_interval_steps": program.wiring.interval,
        "engine": engine,
        "t_max": program.t_max,
        "saturated_fraction": counters.saturated / counters.coded if counters.coded else None,
        "unproved_checks": list(describe_calibrated_limits(program.graph, counters, engine)),
    }


def _check_places(given: argparse.Namespace) -> None:
    """ProgramError if a file that will be written is one that is read, or no place for a file."""
    written = [("-o", given.output), ("--page", given.page), ("--plot", given.plot)]
    read = {"the data": given.data, "the model": given.against, "the labels": given.labels}
    check_places([*written, ("--report", given.report)], read, given.program)


def _warn(
    program: Program,
    found: data.Frames,
    figures: Mapping[str, Any],
    measured: Measured,
    model: Path | None,
) -> None:
    """Tell of data that the program, or its model, is not made for."""
    scores = next(iter(measured.outputs.values()))
    classes = scores[0].size if scores.dtype.kind == "f" else 0
    for finding in range_findings(program, found):
        warn(finding.text)
    guess = guessing(program, found, figures["accuracy"], classes, model)
    if guess is not None:
        warn(guess.text)


def _error_lines(against: Sequence[OutputAgainst]) -> list[str]:
    """One line per output, with its name if there are several."""
    if len(against) == 1:
        return [str(against[0])] if against[0].error else []
    return [f"{one.name}: {one}" for one in against]


def _ties(measured: Measured, labels: np.ndarray[Any, Any] | None) -> float | None:
    """Share of frames whose largest output is not the only one, so that its index decides."""
    output = next(iter(measured.outputs.values()))
    if output.dtype.kind == "i" or predictions(output, labels) is None:
        return None
    flat = output.reshape(len(output), -1)
    return float(np.mean((flat == flat.max(axis=1, keepdims=True)).sum(axis=1) > 1))


def _share(one: np.ndarray[Any, Any] | None, other: np.ndarray[Any, Any] | None) -> float | None:
    if one is None or other is None:
        return None
    return float(np.mean(one == other))


def _print_figures(
    figures: dict[str, Any],
    unproved: list[str],
    ties: float | None,
    errors: Sequence[str],
    energy: Sequence[tuple[str, str]],
) -> None:
    def percent(value: float | None) -> str:
        return "unknown" if value is None else f"{100 * value:.2f} %"

    console = screen()
    for name, value in (
        ("frames", f"{figures['frames']:,} on the {figures['engine']} engine"),
        ("accuracy", percent(figures["accuracy"])),
        ("ANN", percent(figures["ann_accuracy"])),
        ("agreement", percent(figures["agreement"])),
        *(("error", line) for line in errors),
        ("ties", "unknown" if ties is None else f"{percent(ties)} of frames"),
        ("spikes", f"{figures['spikes_per_neuron']:.2f} per neuron and frame"),
        ("events", f"{figures['synaptic_events_per_frame']:,.0f} synaptic events per frame"),
        (
            "latency",
            f"first output spike at step {figures['first_spike_steps']:.1f}, "
            f"last at {figures['latency_steps']}",
        ),
        ("throughput", f"one frame every {figures['frame_interval_steps']} steps"),
        *energy,
        ("saturated", percent(figures["saturated_fraction"])),
        ("guarantees", guarantees("\n            ".join(filter(None, unproved)))),
    ):
        if value != "unknown":
            console.print(f"{name:<12}{value}", soft_wrap=True, markup=False)
