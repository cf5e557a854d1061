"""How many integers of compiled networks differ between processors and libraries, as a table.

    python benchmarks/portability.py [digits] [search] [mnist] [resnet20] [--with "NAME: WORDS"] ...

Every network is compiled once as this Python does, the baseline, and once for each way: ``WORDS``
go in front of a Python that is part of them or, if they do not end in one, is this one. Words may
set variables. Without ``--with`` there are two ways that need nothing else:

    --with "one core: taskset -c 0"
    --with "older BLAS: OPENBLAS_CORETYPE=Nehalem NPY_DISABLE_CPU_FEATURES=AVX512F"
    --with "no AVX: qemu-x86_64 -cpu Nehalem /path/to/venv/bin/python"
    --with "numpy 2: /path/to/another/venv/bin/python"

Columns: weights, biases, and weights of clocks, in which slopes and bounds are, those that differ
of all that there are; and the lines of everything else (scales, zero points, windows) that do.
``search`` is the schedule that is found for the digits with --max-drift 1. MNIST and
ResNet-20 need the folder of real data.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("QCOMPILER_DATA", ROOT / "../shared/data"))
WAYS = ("one core: taskset -c 0", "older BLAS: OPENBLAS_CORETYPE=Nehalem")
KINDS = {":W": "weights", ":bias.weight": "biases", "": "clocks"}  # by ending
CIFAR10 = DATA / "cifar10"
DIGITS, MNIST = ROOT / "examples" / "digits", DATA / "mnist"
_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")
_COUNT = re.compile(r"\.\d+$")


class Network(NamedTuple):
    """A model, its calibration images, and how it is compiled."""

    model: Path
    calibration: Path
    options: dict[str, Any]


NETWORKS = {
    "digits": Network(
        DIGITS / "digits.onnx", DIGITS / "digits_calibration.npz", {"scale_values": (16,)}
    ),
    "search": Network(
        DIGITS / "digits.onnx",
        DIGITS / "digits_calibration.npz",
        {"scale_values": (16,), "effort": 0, "max_drift": 1.0},
    ),
    "mnist": Network(
        MNIST / "mnist_convnet.onnx", MNIST / "mnist_train_2000.npz", {"scale_values": (255,)}
    ),
    "resnet20": Network(
        CIFAR10 / "resnet20.onnx",
        CIFAR10 / "cifar10_train_calib_1000.npz",
        {"mean_values": (123.675, 116.28, 103.53), "scale_values": (58.395, 57.12, 57.375)},
    ),
}


def main() -> None:
    """Print one row a network and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help=f"out of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--with", dest="ways", action="append", metavar="NAME: WORDS")
    parser.add_argument("--dump", type=Path, help="compile a network into this file instead")
    given = parser.parse_args()
    names = given.networks or list(NETWORKS)
    if given.dump:
        dump(NETWORKS[names[0]], given.dump)
        return
    print("| network | way |", *(f"{kind} |" for kind in KINDS.values()), "lines | seconds |")
    print("|---|---|" + "---|" * (len(KINDS) + 2))
    for name in names:
        known, _ = compiled(name, "")
        for way in given.ways or WAYS:
            title, _, words = way.partition(":")
            found, seconds = compiled(name, words)
            cells = " | ".join(compared(known, found))
            print(f"| {name} | {title} | {cells} | {seconds:.0f} |", flush=True)


def dump(network: Network, path: Path) -> None:
    """Compile, and keep all arrays, and the text of the graph without their digests."""
    import qcompiler
    from qcompiler.ir import show

    given, options = network.calibration, network.options
    graph = qcompiler.compile(network.model, calibration=given, **options).graph
    lines = [line for line in show(graph).splitlines() if "const #" not in line]
    text = np.array([_DIGEST.sub("", line) for line in lines])
    with path.open("wb") as file:  # a name without an ending stays as it is
        np.savez(file, **{"": text}, **{c.name: c.data for c in graph.constants})


def compiled(name: str, words: str) -> tuple[dict[str, Any], float]:
    """What another process, started so, makes of a network, and the seconds it took."""
    command = command_of(words)
    with tempfile.TemporaryDirectory() as folder:
        path, begin = Path(folder) / "arrays", time.perf_counter()
        script = [str(Path(__file__).resolve()), name, "--dump", str(path)]
        subprocess.run(["env", *command, *script], check=True)
        with np.load(path) as arrays:
            return dict(arrays), time.perf_counter() - begin


def command_of(words: str) -> list[str]:
    """Words that start a Python: this one, if they name none."""
    command = shlex.split(words)
    if not command or "python" not in Path(command[-1]).name:
        command.append(sys.executable)
    return command


def compared(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Numbers that differ, of all, by kind of array; then lines of text."""
    counts = {kind: [0, 0] for kind in KINDS}
    for name in (known.keys() | found.keys()) - {""}:
        count = counts[next(kind for kind in KINDS if _COUNT.sub("", name).endswith(kind))]
        count[0] += different(known.get(name), found.get(name))
        count[1] += max(a.size for a in (known.get(name), found.get(name)) if a is not None)
    lines = different(known[""], found[""])
    return [*(f"{some:,} of {every:,}" for some, every in counts.values()), f"{lines}"]


def different(one: Any, other: Any) -> int:
    """How many elements differ: all, if an array is missing or has another shape."""
    if one is None or other is None or one.shape != other.shape:
        return int(max(array.size for array in (one, other) if array is not None))
    return int(np.count_nonzero(one != other))


if __name__ == "__main__":
    main()
