"""Memory: what the allocator keeps, and what there is too little of."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from .diagnostics import CompileError, Diagnostic

_P = ParamSpec("_P")
_T = TypeVar("_T")


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
