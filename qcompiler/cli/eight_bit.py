"""What both commands say of the model in 8 bits, beside the program."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from qcompiler import api, data
from qcompiler.backends.program.program import Program
from qcompiler.comparison.eight_bit import EightBit, eight_bit
from qcompiler.terminal.console import progress, screen

from .data_options import calibration


def beside_eight_bits(
    program: Program, model: Path, frames: data.Frames, given: argparse.Namespace
) -> EightBit:
    """The model in 8 bits, calibrated on some frames, beside the program."""
    with progress("quantising to 8 bits", given.quiet, known=False):
        return eight_bit(program, model, frames)


def print_eight_bits(found: EightBit) -> None:
    """A line for each output."""
    for at, line in enumerate(found.lines()):
        text = f"{'' if at else '8 bits':<12}{line}"
        screen().print(text, markup=False, soft_wrap=True)


def compare_on_calibration_data(program: Program, given: argparse.Namespace) -> None:
    """After compiling with ``-v``: calibrate both on the same data, and print the errors."""
    source = calibration(given)
    if source is None or given.quiet or given.json or not given.verbose:
        return
    if program.states:
        print_eight_bits(EightBit(failed="states go from frame to frame"))
        return
    layout = program.manifest.get("preprocessing", {}).get("layout")
    frames = data.open_stream(source, api.inputs_of(program), layout)
    found = beside_eight_bits(program, given.model, frames, given)
    print_eight_bits(replace(found, fitted=given.effort > 0))
