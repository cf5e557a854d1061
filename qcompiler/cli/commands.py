"""Entry points of the two commands, which load the rest only when they need it.

An interrupt is a sentence even while modules load.
"""

from __future__ import annotations

import sys
from importlib import import_module

import qcompiler


def qcompile() -> int:
    """Run `qcompile`; returns the exit status."""
    return _run("qcompile")


def qrun() -> int:
    """Run `qrun`; returns the exit status."""
    return _run("qrun")


def _run(command: str) -> int:
    try:
        if sys.argv[1:] == ["--version"]:  # without loading what compiles and runs
            print(command, qcompiler.__version__)
            return 0
        status: int = import_module(f"qcompiler.cli.{command}").main()
        return status
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        return 1
