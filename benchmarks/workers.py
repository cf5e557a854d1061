"""How much faster two processes run a data set than one.

    python benchmarks/workers.py [--frames 20000] [--repeat 3] [--json]

Both run the digits network of the examples on the `steps` engine, in turn, with the workers started
before. The ratio is the median of the repetitions' ratios, so that other load affects both sides.
On a machine that is busy, or has fewer free cores than workers, it says little: the load and the
number of cores are printed with it. Outputs and counters must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import qcompiler
from qcompiler.cluster import runs as cluster

_DIGITS = Path(__file__).parent.parent / "examples" / "digits"
_WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    found = measured(given.frames, given.repeat)
    if given.json:
        print(json.dumps(found))
        return
    one, two = found["one_process_s"], found["two_workers_s"]
    print(f"{found['frames']:,} frames on the steps engine, median of {given.repeat}")
    print(f"one process  {one:.2f} s")
    print(f"two workers  {two:.2f} s, {found['speed_up']:.2f} times as fast")
    load, cores = found["load"], found["cores"]
    print(f"load before: {load:.1f} on {cores} cores")
    if load > cores - _WORKERS + 0.5:
        print("too few cores are free for two workers: the ratio is a lower bound")


def measured(frames: int, repeat: int) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    program = qcompiler.compile(
        _DIGITS / "digits.onnx",
        calibration=_DIGITS / "digits_calibration.npz",
        scale_values=16,
        effort=0,
    )
    with np.load(_DIGITS / "digits_test.npz") as data:
        images = data["images"][:, None]
    images = np.resize(images, (frames, *images.shape[1:]))
    load = os.getloadavg()[0]
    pairs = []
    with cluster.connected(_WORKERS, None) as client:
        parts = [*cluster.partitions((images,), program)]
        cluster.measure(program, parts[: 2 * _WORKERS], client, "steps")  # which loads the modules
        for _ in range(repeat):
            begin = perf_counter()
            alone = program.measure(images, engine="steps")
            middle = perf_counter()
            shared = cluster.measure(program, parts, client, "steps")
            pairs.append((middle - begin, perf_counter() - middle))
            assert shared.counters == alone.counters
            assert all(
                np.array_equal(shared.outputs[name], array) for name, array in alone.outputs.items()
            )
    one, two = np.median(pairs, axis=0)
    return {
        "frames": frames,
        "one_process_s": float(one),
        "two_workers_s": float(two),
        "speed_up": float(np.median([a / b for a, b in pairs])),
        "load": load,
        "cores": os.cpu_count() or 1,
    }


if __name__ == "__main__":
    main()
