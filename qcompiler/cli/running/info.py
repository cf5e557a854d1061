"""`qrun --info`: what a compiled program is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.program.program import Program
from qcompiler.cli.energy import energy_lines
from qcompiler.cli.summary import guarantees, levels_of, population_table
from qcompiler.ir import Value
from qcompiler.terminal.console import print_table, screen

from .layout import layout_lines


def print_info(given: argparse.Namespace, program: Program, model: CostModel | None) -> None:
    """Print it as lines and a table, or as JSON."""
    found = info(program, model)
    if given.json:
        print(json.dumps(found))
        return
    console, report = screen(), program.report(model)
    unproved = "; ".join(report.unproved_checks)
    built = found["built_with"]
    for name, value in (
        ("program", f"{given.program} for {found['target']}, t_max {levels_of(program.graph)}"),
        ("model", _text(found["model"])),
        *(("input", _value(one)) for one in found["inputs"]),
        *(("output", _value(one)) for one in found["outputs"]),
        ("inside", _preprocessing(found["preprocessing"])),
        ("calibrated", f"on {found['calibration_images']:,} samples"),
        ("neurons", f"{report.neurons:,} in {len(report.populations)} populations"),
        ("synapses", f"{report.synapses:,}"),
        ("latency", f"last output spike at step {report.latency_steps}"),
        ("throughput", f"one frame every {report.frame_interval_steps} steps"),
        *energy_lines(program.energy(model=model), given.verbose),
        *layout_lines(report.layout, given.verbose),
        ("guarantees", guarantees(unproved)),
        *(("warning", text) for text in report.warnings),
        ("versions", _text(built.get("versions"))),
        ("options", _text(built.get("options"))),
        ("pipeline", str(found["pipeline"])),
    ):
        if value:
            console.print(f"{name:<12}{value}", soft_wrap=True, markup=False)
    console.print()
    print_table(console, *population_table(report))


def info(program: Program, model: CostModel | None = None) -> dict[str, Any]:
    """What a program is, as data for JSON: its report, inputs, outputs, and how it was built."""
    manifest, graph = program.manifest, program.graph
    built = manifest.get("built_with")
    return program.report(model).to_dict() | {
        "t_max": program.t_max,
        "inputs": [_described(value.name, value) for value in graph.inputs],
        "outputs": list(map(_described, graph.output_names, graph.outputs)),
        "model": manifest.get("model", {}),
        "preprocessing": manifest.get("preprocessing", {}),
        "calibration_images": manifest.get("calibration_images", 0),
        "pipeline": manifest.get("pipeline", ""),
        "built_with": built if isinstance(built, dict) else {},
    }


def _described(name: str, value: Value) -> dict[str, Any]:
    return {"name": name, "shape": list(value.type.shape)}


def _value(described: Mapping[str, Any]) -> str:
    shape: Sequence[int] = described["shape"]
    return f"{described['name']}: frames x {' x '.join(map(str, shape)) or '1'}"


def _text(pairs: Any) -> str:
    """What a manifest holds under a key, in a line; a damaged one as it is."""
    if not isinstance(pairs, Mapping):
        return str(pairs or "")
    return ", ".join(f"{name} {value}" for name, value in pairs.items())


def _preprocessing(before: Any) -> str:
    given = {name: value for name, value in before.items() if value} if before else {}
    return f"preprocessing: {_text(given)}" if given else ""
