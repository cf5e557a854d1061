"""`--report` of both commands: what is drawn, and the check before the work starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.program.program import Program
from qcompiler.data import Frames
from qcompiler.ir import DataError
from qcompiler.report.build import report_page
from qcompiler.report.page import check_modules
from qcompiler.report.subject import Run, Subject

from .outputs import check_file


def check_report(given: argparse.Namespace) -> None:
    """ProgramError if the report cannot be drawn or written."""
    if given.report is not None:
        check_modules()
        check_file(given.report, "--report")


def compiled_report(
    program: Program, output: Path, model: CostModel | None, frames: Frames | None
) -> str:
    """The page on a program that was just compiled; its frames are calibration data."""
    return report_page(Subject(program, output.name, model, frames))


def run_report(
    program: Program, name: str, model: CostModel | None, run: Run, frame: int | None
) -> str:
    """The page on a program that was just run."""
    done = run.measured.counters.frames
    if frame is not None and frame >= done:
        raise DataError(f"--frame {frame} is not among the {done:,} frames, from 0 on")
    return report_page(Subject(program, name, model, run.data, frame or 0, run))
