"""What the commands load: no more than they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_HEAVY = ("numpy", "onnx", "onnxruntime", "rich", "networkx", "lava")
_HAS_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this device")


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


def unwritable(place: str) -> int:
    if place == "full":
        return os.open("/dev/full", os.O_WRONLY)
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("place", [pytest.param("full", marks=_HAS_FULL), "closed"])
@pytest.mark.parametrize(
    "line", ["qcompile --version", "qrun --version", "qrun --help", "qcompile --list"]
)
def test_output_that_cannot_be_written_is_a_sentence(
    line: str, place: str, unbuffered: str
) -> None:
    """A full disk is told once, a reader that ended not at all."""
    if place == "full" and not Path("/dev/full").exists():
        pytest.skip("this system has no device that is full")
    command, option = line.split()
    code = f"""
import sys
from qcompiler.cli.commands import {command}
sys.argv = [{command!r}, {option!r}]
sys.exit({command}())
"""
    with os.fdopen(unwritable(place), "w") as stream:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    told = "error: output: No space left on device\n" if place == "full" else ""
    assert (done.returncode, done.stderr) == (1, told)
