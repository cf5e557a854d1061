"""Entry points of the two commands: an interrupt is a sentence even while modules load."""

from __future__ import annotations

import sys
from importlib import import_module


def qcompile() -> int:
    """Run `qcompile`; returns the exit status."""
    return _run("qcompiler.cli.qcompile")


def qrun() -> int:
    """Run `qrun`; returns the exit status."""
    return _run("qcompiler.cli.qrun")


def _run(module: str) -> int:
    try:
        status: int = import_module(module).main()
        return status
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        return 1
