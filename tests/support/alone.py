"""A program's standalone module, run as a user does who has not installed the compiler."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

# Where some packages do not exist: but for numpy and the simulator (with what it needs), all.
OTHERS = ("qcompiler", "onnx", "onnxruntime", "rich")
ALONE = """
import runpy, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("network", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["network"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["network"]
    return module


def alone(
    folder: Path, *arguments: str, missing: tuple[str, ...] = OTHERS
) -> subprocess.CompletedProcess[str]:
    code = ALONE.replace("MISSING", repr(missing))
    command = [sys.executable, "-c", code, str(folder / "network.py"), *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
