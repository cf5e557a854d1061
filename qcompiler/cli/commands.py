"""Entry points of the two commands, which load the rest only when they need it.

An interrupt is a sentence even while modules load. The second one ends the process at once. So is
output that cannot be written, also that of options that end a command while it is read.
"""

from __future__ import annotations

import sys
from importlib import import_module

import qcompiler
from qcompiler.terminal.interrupts import is_interrupt, listen


def qcompile() -> int:
    """Run `qcompile`; returns the exit status."""
    return _run("qcompile", "compiling")


def qrun() -> int:
    """Run `qrun`; returns the exit status."""
    return _run("qrun", "running")


def _run(command: str, folder: str) -> int:
    listen()
    try:
        try:
            return _status(command, folder)
        finally:
            print(end="", flush=True)  # a failure at the exit of Python would be no sentence
    except OSError as error:
        from qcompiler.terminal.console import failed

        return failed(error)
    except (KeyboardInterrupt, ImportError) as error:
        if not is_interrupt(error):
            raise
        print("error: interrupted; nothing was written", file=sys.stderr)
        return 1


def _status(command: str, folder: str) -> int:
    if sys.argv[1:] == ["--version"]:  # without loading what compiles and runs
        print(command, qcompiler.__version__)
        return 0
    status: int = import_module(f"qcompiler.cli.{folder}.{command}").main()
    return status
