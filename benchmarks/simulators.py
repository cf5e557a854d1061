"""Every spike of compiled networks on simulators that others wrote, beside the reference.

    PYTHONPATH=. python benchmarks/simulators.py [--digits 540] [--mnist 20] [--random 50]

On Brian2: the digits, the MNIST network if $QCOMPILER_DATA holds it, and random networks with
branches in all three codes. Prints how many levels of neurons were compared, and how many differ.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import qcompiler
from qcompiler.backends.brian2.target import BRIAN2
from qcompiler.backends.program.program import Program
from qcompiler.ir import Graph
from tests.support.random_networks import LOIHI, REFERENCE, compiled, random_network

ROOT = Path(__file__).parents[1]
MNIST = Path(os.environ.get("QCOMPILER_DATA", ROOT / "../shared/data")) / "mnist"
CODES = ("one-spike", "silent", "burst")
Array = np.ndarray[Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, count in (("digits", 540), ("mnist", 20), ("random", 50)):
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N")
    given = parser.parse_args()
    told("digits", *digits(given.digits))
    if MNIST.is_dir():
        told("MNIST", *mnist(given.mnist))
    found = [random(seed) for seed in range(given.random)]
    told("random", sum(n for n, _ in found), sum(wrong for _, wrong in found))


def told(what: str, compared: int, wrong: int) -> None:
    cpu = process_time()
    print(f"{what:8} {compared:>9,} neurons and frames, {wrong} differ ({cpu:.0f} s)", flush=True)


def differing(graph: Graph, x: Array, batch: int = 60) -> tuple[int, int]:
    """How many levels were compared, and how many of them differ on Brian2."""
    program, compared, wrong = Program(graph, BRIAN2, {}), 0, 0
    for begin in range(0, len(x), batch):
        part = x[begin : begin + batch]
        found, expected = (program.engine(name)(part, record=True) for name in ("brian2", "steps"))
        for name, levels in expected.levels.items():
            compared += levels.size
            wrong += int(np.count_nonzero(found.levels[name] != levels))
    return compared, wrong


def digits(count: int) -> tuple[int, int]:
    folder = ROOT / "examples" / "digits"
    program = qcompiler.compile(
        folder / "digits.onnx",
        target="brian2",
        calibration=folder / "digits_calibration.npz",
        scale_values=16,
    )
    with np.load(folder / "digits_test.npz") as data:
        return differing(program.graph, data["images"][:count, None].astype(np.float32))


def mnist(count: int) -> tuple[int, int]:
    program = qcompiler.compile(
        MNIST / "mnist_convnet.onnx",
        target="brian2",
        calibration=MNIST / "mnist_train_2000.npz",
        scale_values=255,
    )
    with np.load(MNIST / "mnist_test_first5000.npz") as data:
        return differing(program.graph, data["images"][:count, None].astype(np.float32))


def random(seed: int) -> tuple[int, int]:
    """A network with branches; one frame lies far beyond the calibration data, one is zero."""
    graph, rng = random_network(seed, branches=True), np.random.default_rng(seed)
    batch = rng.standard_normal((8, *graph.inputs[0].type.shape)).astype(np.float32)
    base = REFERENCE if seed % 2 else LOIHI.replace("assign-windows", "assign-windows{delay=5}")
    code = CODES[seed % len(CODES)]
    pipeline = base.replace(",insert-readout", f",choose-codes{{code={code}}},insert-readout")
    ran = compiled(graph, pipeline, calibration=(batch,), t_max=4 + seed % 9)
    return differing(ran, np.concatenate([50 * batch[:1], 0 * batch[:1], batch[:1]]))


if __name__ == "__main__":
    main()
