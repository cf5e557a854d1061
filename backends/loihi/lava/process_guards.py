"""Good manners around Lava's runtime: logging, interrupts, and an end in any case."""

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
    """Keep the handlers that every Lava process adds to the root logger off it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


class InterruptGuard:
    """Keeps interrupts from child processes, which the parent ends, and delays them here.

    Children that are forked inside of the context ignore interrupts. In this process they wait
    while a block of `delayed` runs, so that what starts or ends processes is never cut short.
    """

    def __init__(self) -> None:
        self.before: Any = None
        self.parent = os.getpid()
        self.delaying = False
        self.pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> InterruptGuard:
        """Take over; nothing happens outside of the main thread, where no interrupt arrives."""
        if threading.current_thread() is threading.main_thread():
            self.before = signal.getsignal(signal.SIGINT)
            if callable(self.before):
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Give back."""
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
        """Let interrupts wait until the end of the block."""
        self.delaying = True
        try:
            yield
        finally:
            self.delaying = False
            if pending := self.pending:
                self.pending = None
                self.before(*pending)


def unregister(processes: list[Any]) -> None:
    """Drop processes from Lava's register, which would keep their weights forever."""
    from lava.magma.core.process.process import ProcessServer

    server, gone = ProcessServer(), {id(process) for process in processes}
    server.processes = [process for process in server.processes if id(process) not in gone]
