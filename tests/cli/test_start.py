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
    interrupts = {"qcompiler.terminal", "qcompiler.terminal.interrupts"}
    assert ours == {"qcompiler", "qcompiler.cli", "qcompiler.cli.commands", *interrupts}


@pytest.mark.parametrize("signals", [0, 1])
@pytest.mark.parametrize("module", ["parser", "compile_command"])
def test_an_import_that_an_interrupt_breaks_off_is_an_interrupt(module: str, signals: int) -> None:
    """Modules in C make an ImportError of the KeyboardInterrupt; without one it is a fault."""
    code = f"""
import os, signal, sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "qcompiler.cli.compiling.{module}":
            try:
                for _ in range({signals}):
                    os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                pass
            raise ImportError("numpy.core.multiarray failed to import") from None
sys.meta_path.insert(0, Broken())
from qcompiler.cli.commands import qcompile
sys.argv = ["qcompile", "net.onnx"]
sys.exit(qcompile())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = done.stderr == "error: interrupted; nothing was written\n"
    assert told if signals else not told and "multiarray failed" in done.stderr


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
