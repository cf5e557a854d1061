"""Whether large networks still compile within several times what they should take.

    python benchmarks/guard.py

Processor time counts, which other load hardly changes, and the bounds are those of `bench.py` times
five: this fails when something is wrong, not when a machine is slow. `.ci/run` runs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import networks
import numpy as np
import onnx
from bench import BOUNDS

_TIMES = 5
_NARROWER = 4  # with data: a quarter of the channels, so at most a quarter of the time


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        model, images = Path(folder, "large.onnx"), Path(folder, "images.npz")
        onnx.save(networks.large(), model)
        failed = exceeds(model, {}, _TIMES * BOUNDS["large", 0])
        onnx.save(networks.large(_NARROWER), model)
        np.savez(images, images=np.random.default_rng(1).random((8, 3, 64, 64), np.float32))
        bound = _TIMES * BOUNDS["large", 8] / _NARROWER
        failed |= exceeds(model, {"calibration": str(images)}, bound)
    return int(failed)


def exceeds(model: Path, options: dict[str, str], bound: float) -> bool:
    """Compile in a process of its own, print what that takes, and compare it with the bound."""
    given = json.dumps({"target": "reference", **options})
    child = [sys.executable, str(Path(__file__).with_name("cost.py")), str(model), given]
    output = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = json.loads(output)["processor_seconds"]
    what = "with 8 images" if options else "without data"
    size = model.stat().st_size / 1e6
    print(f"large network ({size:.0f} MB) {what}: {seconds:.1f} s, at most {bound:.0f} s allowed")
    return bool(seconds > bound)


if __name__ == "__main__":
    sys.exit(main())
