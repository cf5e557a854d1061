"""How the cost of compiling grows with the number of layers.

    python benchmarks/growth.py [FAMILY ...] [--largest N] [--images N] [--target T] [--json]

Compiles networks of one shape, each half as long as the next (`growing.py`), in this process, and
prints the processor time of reading and compiling, of saving and loading, and the exponent by which
the time of the largest grows: 1 is a cost per layer, 2 a cost per pair of layers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from math import log2
from pathlib import Path
from time import process_time
from typing import Any

import growing
import networkx  # noqa: F401
import numpy as np
import onnx
import onnxruntime  # noqa: F401

import qcompiler

_LARGEST = {"dense_block": 100, "outputs": 2000}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(growing.FAMILIES))
    parser.add_argument("--largest", type=int, help="layers of the largest")
    parser.add_argument("--images", type=int, default=0, help="calibration images")
    parser.add_argument("--effort", type=int, default=1)
    parser.add_argument("--target", default="reference")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    warnings.simplefilter("ignore", qcompiler.CompileWarning)
    options: dict[str, Any] = {"target": given.target, "effort": given.effort}
    if given.images:
        images = np.random.default_rng(1).random((given.images, *growing.SHAPE), np.float32)
        options["calibration"] = images
    with tempfile.TemporaryDirectory() as folder:
        for family in given.families or growing.FAMILIES:
            largest = given.largest or _LARGEST.get(family, 1600)
            for row in measured(family, largest, options, Path(folder)):
                print(json.dumps(row) if given.json else line(row), flush=True)


def measured(
    family: str, largest: int, options: dict[str, Any], folder: Path
) -> Iterator[dict[str, Any]]:
    """Processor seconds at each size, and the exponent from the size before."""
    before: dict[str, float] = {}
    costs(family, 8, options, folder)  # what is done once in a process
    for size in (largest // 4, largest // 2, largest):
        found = costs(family, size, options, folder)
        grown = {name: log2(found[name] / before[name]) for name in before}
        yield {"family": family, "size": size, **found, "exponents": grown}
        before = found


def costs(family: str, size: int, options: dict[str, Any], folder: Path) -> dict[str, float]:
    model, saved = folder / "network.onnx", folder / f"{family}{size}"
    onnx.save(growing.network(family, size), model)
    program, compiling = timed(lambda: qcompiler.compile(model, **options))
    _, saving = timed(lambda: program.save(saved))
    _, loading = timed(lambda: qcompiler.load(saved))
    return {"compile": compiling, "save": saving, "load": loading}


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = process_time()
    return run(), process_time() - start


def line(row: dict[str, Any]) -> str:
    parts = [
        f"{name} {row[name]:.2f} s"
        + (f" ({row['exponents'][name]:.2f})" if row["exponents"] else "")
        for name in ("compile", "save", "load")
    ]
    return f"{row['family']} of {row['size']:,}: {', '.join(parts)}"


if __name__ == "__main__":
    main()
