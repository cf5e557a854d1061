"""Guards around Lava: logging and interrupts."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Remove the handlers that Lava processes add to the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


class InterruptGuard:
    """Hides interrupts from child processes, which the parent stops, and delays them here.

    Children forked inside the context ignore interrupts. In this process an interrupt is delayed
    until a block of `delayed` ends, so that starting and stopping processes is not interrupted.
    """

    def __init__(self) -> None:
        self.before: Any = None
        self.parent = os.getpid()
        self.delaying = False
        self.pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> InterruptGuard:
        """Install the handler in the main thread; other threads receive no interrupts."""
        if threading.current_thread() is threading.main_thread():
            self.before = signal.getsignal(signal.SIGINT)
            if callable(self.before):
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous handler."""
        if callable(self.before):
            signal.signal(signal.SIGINT, self.before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.parent:
            return
        if self.delaying:
            self.pending = (number, frame)
        else:
            self.before(number, frame)

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Delay interrupts until the end of the block."""
        self.delaying = True
        try:
            yield
        finally:
            self.delaying = False
            if pending := self.pending:
                self.pending = None
                self.before(*pending)
