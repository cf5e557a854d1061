"""Memory: what the allocator keeps, and what there is too little of."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from .diagnostics import CompileError, DataError, Diagnostic

_P = ParamSpec("_P")
_T = TypeVar("_T")
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def within_memory(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function that raises a CompileError, and no MemoryError."""

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except MemoryError as error:
            help_ = "use a smaller model, or fewer images"
            raise CompileError(Diagnostic("out of memory", (), help_)) from error

    return call


def check_results(frames: int, each: int) -> None:
    """DataError if the results of so many frames, of ``each`` bytes, do not fit into memory."""
    if frames * each > machine_memory():
        takes = f"results of {frames:,} frames take {frames * each / 1e9:,.0f} GB"
        help_ = "run some of the frames at a time"
        raise DataError(Diagnostic(f"{takes}, more than this machine's memory", help=help_))


def machine_memory() -> float:
    """Bytes of memory that this process may take, at most."""
    found = float("inf")
    with suppress(AttributeError, ValueError, OSError):
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(ValueError, OSError):
        found = min(found, int(_CGROUP.read_text()))
    return found


def give_back() -> None:
    """Give memory that nothing uses back to the operating system, where the C library can.

    Once arrays of up to 32 MiB have been freed, glibc takes others of their size from a heap that
    it keeps: after some passes on a large network it holds more than the network.
    """
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # other C libraries, and Windows
        return lambda _: None
    return found
