"""Compiled mutants on two engines and beside onnxruntime.

    python -m tests.support.fuzz.differential FIRST COUNT

Each mutant is refused with a CompileError, or compiled. Then the program must be the same once it
is saved and loaded, both engines must give the same levels, the imported network must be the model,
and what the program gives must be near the model: within a quarter of the spread, or with a
warning. Each runs in a process of its own, and takes up to a minute of the processor. Counts of the
outcomes are printed as JSON, and every seed whose outcome is another.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import onnx

import qcompiler
from qcompiler.comparison.against import compare_with_model
from qcompiler.comparison.errors.judge import TOLERATED
from qcompiler.comparison.onnxruntime_faults import onnxruntime_faults
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileError, evaluate
from tests.support.fuzz.valid_mutants import mutant
from tests.support.onnx_models import batches, run_onnx, run_reference

FRAMES = 24
SECONDS = 60  # of the processor; ten times as long on a clock, as a machine may be busy
GOOD = ("refused", "onnxruntime refuses", "not finite", "near", "warned", "onnxruntime is wrong")


def outcome(seed: int) -> str:
    """One of `GOOD`, or what is wrong."""
    proto = mutant(seed)
    try:
        imported = import_model(proto, allow_products=True)
        feeds = batches(imported, FRAMES)
        settings: dict[str, Any] = {"t_max": (8, 16, 64)[seed % 3], "effort": seed // 3 % 2}
        settings["target"] = ("reference", "loihi")[seed // 6 % 2]
        program = qcompiler.compile(proto, calibration=feeds, allow_products=True, **settings)
    except CompileError:
        return "refused"
    if not _saved_and_loaded(program):
        return "another program once it is saved and loaded"
    for factor in (1, 3):
        frames = tuple(factor * array[:3] for array in feeds.values())
        fast, steps = (program.levels(*frames, engine=engine) for engine in ("fast", "steps"))
        for name, levels in fast.items():
            if not np.array_equal(levels, steps[name]) and not _exceeds(program, frames):
                return f"steps and fast differ in {name}"
    return _beside_the_model(proto, imported.graph, program, feeds)


def _saved_and_loaded(program: qcompiler.Program) -> bool:
    """Whether a program is the same when it is read back."""
    with tempfile.TemporaryDirectory() as folder:
        program.save(f"{folder}/p")
        found = qcompiler.load(f"{folder}/p")
    manifest = json.loads(json.dumps(program.manifest))
    return found == dataclasses.replace(program, manifest=manifest)


def _exceeds(program: qcompiler.Program, frames: Any) -> bool:
    """Whether membranes leave the limits that calibration data show, which the run tells."""
    return bool(program.measure(*frames, engine="steps").counters.exceeded)


def _beside_the_model(
    proto: onnx.ModelProto, graph: qcompiler.ir.Graph, program: qcompiler.Program, feeds: Any
) -> str:
    data = tuple(feeds.values())
    with np.errstate(all="ignore"):
        exact = dict(zip(graph.output_names, evaluate(graph, *data), strict=True))
    try:
        names = [output.name for output in proto.graph.output]
        wanted = dict(zip(names, run_onnx(proto, feeds), strict=True))
    except Exception:  # of onnxruntime's own kinds
        return "onnxruntime refuses"
    if not all(np.isfinite(array).all() for array in (*wanted.values(), *exact.values())):
        return "not finite"
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/m.onnx"
        onnx.save(proto, path)
        if any(True for _ in onnxruntime_faults(path)):  # type: ignore[arg-type]
            return "onnxruntime is wrong"
    if other := _other(exact, wanted):
        with suppress(Exception):  # of the evaluator's own kinds
            by_onnx = dict(zip(names, run_reference(proto, feeds), strict=True))
            if not _other(exact, by_onnx):
                return "onnxruntime is wrong"
        return f"the imported network is not the model: {other}"
    found = program.measure(*data).outputs
    for one in compare_with_model(found, wanted, None):
        if one.error is not None and (one.error.error or 0) > TOLERATED and not program.warnings:
            return f"far from the model without a warning: {one}"
    return "warned" if program.warnings else "near"


def _other(exact: Any, wanted: Any) -> str:
    """The name of the first output that differs, or none."""
    for name, array in exact.items():
        other = wanted[name].reshape(array.shape)
        if not np.allclose(array, other, 1e-3, 1e-4 * max(1.0, float(np.abs(other).max()))):
            return str(name)
    return ""


def alone(seed: int) -> str:
    """The outcome in a process of its own, which may crash or hang."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(10 * SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        warnings.simplefilter("ignore")
        try:
            text = outcome(seed)
        except BaseException:
            text = traceback.format_exc()
        os.write(writer, text.encode()[-4000:])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    return text if not status else f"ended by signal {status & 127}"


def main(first: int, count: int) -> dict[str, Any]:
    """Outcomes of so many mutants, and what was wrong, by seed."""
    counts: Counter[str] = Counter()
    wrong: dict[int, str] = {}
    for seed in range(first, first + count):
        found = alone(seed)
        if found not in GOOD:
            wrong[seed], found = found, "wrong"
        counts[found] += 1
    return {**counts, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2])), indent=1))
