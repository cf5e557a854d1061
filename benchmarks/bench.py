"""Cost of compiling and running, compared with onnxruntime on the float network.

    make bench          or: python benchmarks/bench.py [--quick] [--json]

Speeds are medians over interleaved repetitions on one thread. A ratio is the median of the
repetitions' ratios, so that other load affects both sides; absolute figures still
vary. The fast engine computes wide layers in 8-bit integers, the float network does not. Every
compilation runs in a separate process. The bounds are the project's goals; the exit status does not
depend on them.

Small networks are compiled for Loihi 2, large ones, which no core of it can hold, for reference.
On Lava a step is the median over frames that follow each other, with only the output recorded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime
from bench_text import Row, cost_line, engine_line, lava_line, speed_line
from plans import Plan, prepare
from race import race

import qcompiler
from qcompiler.backends.loihi.lava.lava_engine import LavaEngine, Runtime, why_unavailable
from qcompiler.backends.reference.fast.fast_engine import FastEngine

_HERE = Path(__file__).parent
BOUNDS = {("large", 0): 15.0, ("large", 8): 30.0}  # seconds to compile, by network and images


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plans = prepare(Path(folder))
        compiling = list(told(costs(plans), cost_line, given.json))
        running = list(told(speeds(plans, 5 if given.quick else 31), speed_line, given.json))
        engines = list(
            told(engine_speeds(plans, 3 if given.quick else 11), engine_line, given.json)
        )
        if (missing := why_unavailable()) and not given.json:
            print(f"lava: skipped, {missing}")
        found = iter(()) if missing else simulations(plans, 1 if given.quick else 4)
        simulating = list(told(found, lava_line, given.json))
    if given.json:
        rows = {"compile": compiling, "run": running, "engines": engines, "lava": simulating}
        print(json.dumps(rows))
    return 0


def told(rows: Iterator[Row], line: Callable[[Row], str], silent: bool) -> Iterator[Row]:
    """Pass rows on; print each as soon as it is there."""
    for row in rows:
        if not silent:
            print(line(row), flush=True)
        yield row


def costs(plans: Mapping[str, Plan]) -> Iterator[Row]:
    """Compile each network in a fresh process."""
    for name, images, ratio in (
        ("mnist", 2000, None),
        ("vgg11", 0, None),
        ("large", 0, 5.0),
        ("large", 8, None),
    ):
        seconds = BOUNDS.get((name, images))
        plan = plans[name]
        options = {**plan.options, **({"calibration": str(plan.images)} if images else {})}
        child = [sys.executable, str(_HERE / "cost.py"), str(plan.model), json.dumps(options)]
        output = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout
        about = {"network": name, "weights": plan.weights, "target": plan.target, "images": images}
        row = {**about, **json.loads(output)}
        row["model_mb"] = plan.model.stat().st_size / 1e6
        row["peak_per_model"] = row["peak_mb"] / row["model_mb"]
        yield {**row, "bound_seconds": seconds, "bound_peak_per_model": ratio}


def speeds(plans: Mapping[str, Plan], repetitions: int) -> Iterator[Row]:
    """Images per second of the fast engine, and of onnxruntime on the float network."""
    for name, batch, bound in (
        ("mnist", 1, 0.8),
        ("mnist", 256, 1.5),
        ("vgg11", 1, None),
        ("vgg11", 32, 3.0),
        ("resnet18", 8, 2.5),
        ("mobilenet", 8, 2.0),
        ("resnet20", 64, 1.0),
        ("squeezenet", 8, 1.0),
    ):
        if name not in plans:
            continue
        fast, ort, ratio = race(*runners(plans[name], batch), repetitions)
        yield {
            "network": name,
            "weights": plans[name].weights,
            "batch": batch,
            "fast_per_second": batch / fast,
            "onnxruntime_per_second": batch / ort,
            "ratio": ratio,
            "bound_ratio": bound,
        }


def engine_speeds(plans: Mapping[str, Plan], repetitions: int) -> Iterator[Row]:
    """Images per second of the engines that run step by step, and of the fast engine, all counting.

    The engine `events` needs scipy.
    """
    plan = plans["mnist"]
    options = {**plan.options, "target": "reference"}
    program = qcompiler.compile(plan.model, calibration=plan.images, **options)
    x = plan.frames(64, program.graph.inputs[0].type.shape)
    fast = program.engine("fast")
    for name, bound in (("steps", None), ("events", 0.25)):
        engine = program.engine(name)
        ours, theirs, ratio = race(lambda e=engine: e(x), lambda: fast(x), repetitions)  # type: ignore[misc]
        yield {
            "network": "mnist",
            "weights": plan.weights,
            "engine": name,
            "images_per_second": len(x) / ours,
            "fast_per_second": len(x) / theirs,
            "ratio": ratio,
            "bound_ratio": bound,
        }


def runners(plan: Plan, batch: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """The compiled and the float network on the same images, one thread each."""
    program = qcompiler.compile(plan.model, calibration=plan.images, **plan.options)
    engine = FastEngine(program.graph, threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(plan.model), options, providers=providers)
    x = plan.frames(batch, program.graph.inputs[0].type.shape)
    feed = {session.get_inputs()[0].name: x / np.float32(plan.divisor)}
    return lambda: engine(x, count=False), lambda: session.run(None, feed)


def simulations(plans: Mapping[str, Plan], rounds: int) -> Iterator[Row]:
    """Both ways of running Lava; a round has fewer frames where each takes long."""
    frames: tuple[tuple[str, Runtime, int], ...] = (
        ("digits", "single", 25),
        ("digits", "processes", 10),
        ("mnist", "single", 10),
        ("mnist", "processes", 5),
    )
    for name, runtime, count in frames:
        plan = plans[name]
        program = qcompiler.compile(plan.model, calibration=plan.images, **plan.options)
        engine = LavaEngine(program.graph, runtime=runtime)
        x = plan.frames(rounds * count, program.graph.inputs[0].type.shape)
        row = {"network": name, "weights": plan.weights, "runtime": runtime, "images": len(x)}
        yield {**row, **simulated(engine, x)}


def simulated(engine: LavaEngine, x: Any) -> Row:
    """Seconds of a step and of an image, and those until the first image is through.

    The latter hold the start. Counts the operating-system processes that are there by then, this
    one included.
    """
    netlist, ends, processes = engine.netlist, [], []

    def note(done: int) -> None:
        ends.append(perf_counter())
        if done == 1:
            processes.append(1 + len(multiprocessing.active_children()))

    start = perf_counter()
    engine.spikes(
        x, record=[name for output in netlist.outputs for name in output.populations], progress=note
    )
    image = float(np.median(np.diff(ends)))
    return {
        "step_seconds": image / netlist.interval,
        "image_seconds": image,
        "first_seconds": ends[0] - start,
        "first_steps": netlist.latency,
        "processes": processes[0],
    }


if __name__ == "__main__":
    sys.exit(main())
