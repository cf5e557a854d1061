"""Work on many alike items, some of them in each of a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np

from .session import default_threads

_MOST = 8  # threads: each takes memory of its own

T = TypeVar("T")


def in_threads(work: Callable[[slice], T], count: int) -> list[T]:
    """What ``work`` returns for runs of ``count`` items, in order; one run per thread.

    There are as many threads as OMP_NUM_THREADS says, or cores. They share Python's lock: ``work``
    spends its time in calls that release it, of numpy or of sessions with one thread.
    """
    threads = max(1, min(default_threads() or _cores(), _MOST, count))
    ends = np.linspace(0, count, threads + 1).astype(int).tolist()
    parts = [slice(begin, end) for begin, end in pairwise(ends)]
    if threads == 1:
        return [*map(work, parts)]
    with ThreadPoolExecutor(threads - 1) as pool:
        others = pool.map(work, parts[1:])
        return [work(parts[0]), *others]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
