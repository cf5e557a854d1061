"""What `qrun` does, once its command line is read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcompiler import api, data
from qcompiler.backends.host import Measured
from qcompiler.backends.loihi.standalone.files import save_arrays
from qcompiler.backends.plots.canvas import need, shown
from qcompiler.backends.plots.energy_plot import energy_figure
from qcompiler.backends.plots.inline_svg import svg_file
from qcompiler.backends.program.calibrated_limits import summarize_calibrated_limits
from qcompiler.backends.program.program import Program
from qcompiler.cli.eight_bit import beside_eight_bits, print_eight_bits
from qcompiler.cli.energy import against_lines, chosen_model, energy_lines, energy_table
from qcompiler.cli.outputs import check_places, write_file, write_text
from qcompiler.cli.report import check_report, run_report
from qcompiler.comparison.against import compare_with_model, errors_on_new_frames, in_real_numbers
from qcompiler.comparison.onnxruntime_faults import onnxruntime_faults
from qcompiler.comparison.program_inputs import guessing, range_findings
from qcompiler.explain.diagnosis import explain
from qcompiler.explain.explanation import Explanation
from qcompiler.explain.page import page
from qcompiler.explain.text import print_explanation
from qcompiler.ir import ProgramError
from qcompiler.report.page import check_modules
from qcompiler.report.subject import Run
from qcompiler.terminal.amounts import quantity
from qcompiler.terminal.console import print_table, progress, screen, warn

from .figures import error_lines, figures_of, print_figures, ties_of
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
    program.streams(given.engine)  # a ProgramError for an unknown engine comes before the work
    if given.against is not None:
        for finding in onnxruntime_faults(given.against):
            warn(finding.text)
    ran = run_program(program, given)
    found, measured, reference = ran.frames, ran.measured, ran.reference
    if reference is not None:
        reference = in_real_numbers(measured.outputs, reference)
    if ran.skipped:
        warn(data.skipped_text(ran.skipped))
    if ran.interrupted:
        done = measured.counters.frames
        warn(f"interrupted: results are those of {done:,} of {len(found):,} frames")
    against = (
        None if reference is None else compare_with_model(measured.outputs, reference, found.labels)
    )
    figures = figures_of(program, measured, found, reference, given.engine)
    energy = program.energy(measured.counters, model)
    if given.stream:
        figures["states"] = [str(state) for state in program.states]
    figures |= energy.to_dict()
    others = program.alternatives(measured.counters, model) if given.against else None
    figures |= {"skipped": len(ran.skipped), "interrupted": ran.interrupted}
    figures["energy_against"] = others.to_dict() if others else None
    figures["outputs"] = None if against is None else {one.name: one.to_dict() for one in against}
    _warn(program, found, figures, measured, given.against)
    once = () if given.stream else against or ()  # states carry errors from frame to frame
    saturated = figures["saturated_fraction"]
    for finding in errors_on_new_frames(program, once, saturated, given.against):
        warn(finding.text)
    if given.output is not None:
        write_file(given.output, "-o", lambda path: save_arrays(path, measured.outputs))
    if given.plot is not None:
        total = quantity(energy.causes.total * 1e-6, "J")
        title = f"{given.program.name}: {total} a frame ({energy.model.name} model)"
        figure = energy_figure(energy.populations, shown(title, 70))
        write_text(given.plot, "--plot", svg_file(figure))
    ties = ties_of(measured, found.labels)
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
    print_figures(figures, checks, ties, error_lines(against or ()), lines)
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


def _check_places(given: argparse.Namespace) -> None:
    """ProgramError if a file that will be written is one that is read, or no place for a file."""
    if given.output is not None and given.output.suffix.lower() not in ("", ".npz"):
        remedy = "choose a name that ends in .npz"
        raise ProgramError(f"-o {given.output} writes NumPy arrays, all outputs in one: {remedy}")
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
