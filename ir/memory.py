"""Memory that the allocator keeps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


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
