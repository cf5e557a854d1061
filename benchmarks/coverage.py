"""Which architectures compile, and how near their outputs are, as a table.

    python -m benchmarks.architectures.export FOLDER    # needs the extra architectures
    python -m benchmarks.coverage FOLDER [NAME ...] [--t-max 64] [--json FILE]

Each network of the folder is compiled to `reference` with 256 samples of random data, and compared
with onnxruntime on 64 others. Columns: what came of it, neurons, the last output step, and errors
relative to the spread of outputs: of the program, and of the model with its values rounded to as
many levels, over ranges of the calibration data (see `calibrated_levels`) or those of the 64
samples themselves. Networks with several outputs show their worst. ``--json`` keeps what is
measured, and what the file holds already is not measured again. The last line counts errors of at
most 1.5 times those of levels.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import qcompiler
from qcompiler.comparison.calibrated_levels import least_error
from qcompiler.comparison.errors.level_errors import LevelCounts
from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.frontend.import_model import import_model
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import run_prologue, split_prologue
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm

FRESH = "fresh:"  # in front of the names of data that calibration does not see
ORACLES = ("calibrated", "own")  # whose ranges the levels have that values are rounded to
TIMES = 1.5
HEADINGS = (
    *("architecture", "outcome", "neurons", "steps", "error"),
    *("levels, calibrated ranges", "levels, own ranges"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--t-max", type=int, default=64)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    known = {}
    if given.json is not None and given.json.exists():
        known = {row["name"]: row for row in map(json.loads, given.json.read_text().splitlines())}
    rows = []
    print(f"| {' | '.join(HEADINGS)} |\n|" + "---|" * len(HEADINGS))
    for path in sorted(given.folder.glob("*.onnx")):
        if given.names and path.stem not in given.names:
            continue
        row = known.get(path.stem) or _row(path, given.t_max)
        if given.json is not None and path.stem not in known:
            with given.json.open("a") as file:
                print(json.dumps(row), file=file)
        rows.append(row)
        print(text(row), flush=True)
    counts = Counter(row["outcome"].partition(":")[0] for row in rows)
    print(f"\n{len(rows)} networks: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    within = ", ".join(f"{_within(rows, key)} ({key})" for key in ORACLES)
    print(f"within {TIMES} times the error of levels, by their ranges: {within}")


def _row(path: Path, t_max: int) -> dict[str, Any]:
    try:
        return measured(path, t_max)
    except qcompiler.CompileError as error:
        return {"name": path.stem, "outcome": f"refused: {_reason(error)}"}
    except Exception as error:
        return {"name": path.stem, "outcome": f"crash: {type(error).__name__}"}


def _reason(error: qcompiler.CompileError) -> str:
    return str(error).partition("\n")[0].removeprefix("error: ")


def measured(path: Path, t_max: int) -> dict[str, Any]:
    """What becomes of one network; raises what compiling raises."""
    begin = time.process_time()
    with np.load(path.with_suffix(".npz")) as file:
        arrays = dict(file)
    calibration = {name: x for name, x in arrays.items() if not name.startswith(FRESH)}
    fresh = tuple(arrays[FRESH + name] for name in calibration)
    options: dict[str, Any] = {"target": "reference", "t_max": t_max, "allow_products": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = qcompiler.compile(path, calibration=calibration, **options)
    found = program.measure(*fresh)
    theirs = run_outputs(path, Data(fresh), program.manifest)
    counts, seen = LevelCounts.of(program), tuple(calibration.values())
    return {
        "name": path.stem,
        "outcome": _outcome(program),
        "neurons": program.report().neurons,
        "steps": found.counters.last,
        "error": _error(found.outputs, theirs),
        **of_levels(path, counts, fresh, seen, theirs),
        "seconds": time.process_time() - begin,
    }


def text(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    if "neurons" not in row:
        return f"| {row['name']} | {row['outcome']} |" + " |" * (len(HEADINGS) - 2)
    oracles = " | ".join("" if row[key] is None else f"{row[key]:.3f}" for key in ORACLES)
    cells = f"{row['neurons']:,} | {row['steps']:,} | {row['error']:.3f} | {oracles}"
    return f"| {row['name']} | {row['outcome']} | {cells} |"


def _within(rows: Sequence[Mapping[str, Any]], key: str) -> int:
    """How many errors are at most so many times those of levels."""
    return sum(bool(row.get(key)) and row["error"] <= TIMES * row[key] for row in rows)


def _outcome(program: qcompiler.Program) -> str:
    front = () if program.prologue is None else program.prologue.nodes
    behind = [node for node in program.host_nodes if node not in front]
    ends = [name for name, there in (("prologue", front), ("epilogue", behind)) if there]
    return "compiles" + (f" with {' and '.join(ends)}" if ends else "")


def of_levels(
    path: Path,
    counts: LevelCounts,
    data: tuple[Array, ...],
    calibration: tuple[Array, ...],
    theirs: Mapping[str, Array],
) -> dict[str, float | None]:
    """The errors of the model with all that spikes in levels; None where it has none."""
    prologue, graph = split_prologue(import_model(path, allow_products=True).graph)
    graph = FoldBatchNorm()(graph)
    if prologue is not None:
        data, calibration = run_prologue(prologue, *data), run_prologue(prologue, *calibration)

    def error(found: Sequence[Array]) -> float:
        return _error(dict(zip(graph.output_names, found, strict=True)), theirs)

    ranges = {"calibrated": calibration, "own": data}
    return {key: least_error(graph, counts, data, seen, error) for key, seen in ranges.items()}


def _error(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> float:
    """The largest root mean square error of an output, relative to its spread over samples."""
    errors = []
    for name, real in theirs.items():
        difference = np.asarray(ours[name], float) - real
        spread = np.sqrt(np.mean((real - real.mean(0)) ** 2))
        errors.append(float(np.sqrt(np.mean(difference**2)) / max(spread, 1e-12)))
    return max(errors)


if __name__ == "__main__":
    main()
