"""Interrupts (Ctrl-C): the first ends what is going on, the second the process. Loads nothing."""

from __future__ import annotations

import os
import signal
from typing import Any

_INTERRUPTED = 130  # as shells say it


def listen() -> None:
    """Take interrupts, unless somebody ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _first)


def is_interrupt(error: BaseException) -> bool:
    """Whether this is an interrupt, or an import that one broke off.

    Modules in C, such as those of numpy, tell an interrupt while they load as an ImportError.
    """
    broken = isinstance(error, ImportError) and signal.getsignal(signal.SIGINT) is _second
    return broken or isinstance(error, KeyboardInterrupt)


def _first(*_: Any) -> None:
    """The first interrupt may take a while: what is done is written, workers end."""
    signal.signal(signal.SIGINT, _second)
    raise KeyboardInterrupt


def _second(*_: Any) -> None:
    os._exit(_INTERRUPTED)
