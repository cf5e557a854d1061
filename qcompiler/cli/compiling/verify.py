"""`qcompile --verify`: whether the same model and data build a program again."""

from __future__ import annotations

import argparse
import json

from qcompiler import api
from qcompiler.cli.data_options import data_set
from qcompiler.ir import ProgramError
from qcompiler.terminal.console import screen


def verify(given: argparse.Namespace) -> int:
    """Print what differs; returns 1 if anything does."""
    directory, *rest = given.verify
    if not rest:
        raise ProgramError(f"--verify needs the model of {directory}: --verify DIR MODEL.onnx DATA")
    data = data_set(rest[1], given, given.calibration_frames) if len(rest) > 1 else None
    again = {name: getattr(given, name) for name in ("passes", "max_neurons", "max_memory")}
    found = api.verify_program(directory, rest[0], data, **again)
    if given.json:
        print(json.dumps({"same": not found, "differences": list(found)}))
    else:
        console = screen()
        for line in found or ("the same program, to the last bit",):
            console.print(line, soft_wrap=True, markup=False)
    return int(bool(found))
