"""What the commands load: no more than they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("numpy", "onnx", "onnxruntime", "rich", "networkx", "lava")


@pytest.mark.parametrize("command", ["qcompile", "qrun"])
def test_version_loads_neither_the_compiler_nor_its_libraries(command: str) -> None:
    code = f"""
import sys
before = set(sys.modules)
from qcompiler.cli.commands import {command}
sys.argv = [{command!r}, "--version"]
assert {command}() == 0
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line, loaded = done.stdout.splitlines()
    assert line.startswith(f"{command} ")
    names = loaded.split()
    assert not {name.partition(".")[0] for name in names}.intersection(_HEAVY)
    ours = {name for name in names if name.startswith("qcompiler")}
    assert ours == {"qcompiler", "qcompiler.cli", "qcompiler.cli.commands"}


@pytest.mark.parametrize("command", ["qcompile", "qrun"])
def test_help_loads_neither_the_compiler_nor_its_libraries(command: str) -> None:
    code = f"""
import sys
from qcompiler.cli.commands import {command}
sys.argv = [{command!r}, "--help"]
try:
    {command}()
finally:
    print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Exit status" in done.stdout
    names = {name.partition(".")[0] for name in done.stderr.split()}
    assert not names.intersection(_HEAVY)
