"""Compile one model in this process and print what it took, as JSON. `bench.py` runs this."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

# Imports are paid before the clock starts.
import networkx  # noqa: F401
import onnx  # noqa: F401
import onnxruntime  # noqa: F401

import qcompiler


def cost(model: str, options: dict[str, Any]) -> dict[str, float]:
    """Seconds, and memory in 10**6 bytes, to compile a model and to save the program."""
    build = qcompiler.compile
    imports = peak()
    start, busy = perf_counter(), process_time()
    program = build(model, **options)
    compiled = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        program.save(Path(folder, "program"))
        saved = perf_counter()
    return {
        "compile_seconds": compiled - start,
        "save_seconds": saved - compiled,
        "processor_seconds": process_time() - busy,
        "imports_mb": imports,
        "peak_mb": peak(),
    }


def peak() -> float:
    """Most memory that this process has held.

    On Linux getrusage counts what the parent held when it started this process, too; /proc does
    not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / 1e6 if sys.platform == "darwin" else found * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(cost(sys.argv[1], json.loads(sys.argv[2]))))
