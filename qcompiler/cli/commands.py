"""Entry points of the two commands, which load the rest only when they need it.

An interrupt is a sentence even while modules load. The second one ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

import qcompiler


def qcompile() -> int:
    """Run `qcompile`; returns the exit status."""
    return _run("qcompile", "compiling")


def qrun() -> int:
    """Run `qrun`; returns the exit status."""
    return _run("qrun", "running")


_INTERRUPTED = 130  # as shells say it


def _interrupt(*_: Any) -> None:
    """The first interrupt may take a while: what is done is written, workers end."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    raise KeyboardInterrupt


def _run(command: str, folder: str) -> int:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nobody ignores it
        signal.signal(signal.SIGINT, _interrupt)
    try:
        if sys.argv[1:] == ["--version"]:  # without loading what compiles and runs
            print(command, qcompiler.__version__)
            return 0
        status: int = import_module(f"qcompiler.cli.{folder}.{command}").main()
        return status
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        return 1
