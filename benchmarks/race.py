"""Two functions timed against each other, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

_SECONDS = 0.05  # that each side runs in a repetition


def race(
    ours: Callable[[], object], theirs: Callable[[], object], repetitions: int
) -> tuple[float, float, float]:
    """Median seconds a call of each, and the median of theirs over ours."""
    timed(ours, 3), timed(theirs, 3)
    calls = [max(1, int(_SECONDS / timed(run, 3))) for run in (ours, theirs)]
    pairs = [
        [timed(run, n) for run, n in zip((ours, theirs), calls, strict=True)]
        for _ in range(repetitions)
    ]
    times = np.array(pairs)
    fast, ort = np.median(times, axis=0)
    return float(fast), float(ort), float(np.median(times[:, 1] / times[:, 0]))


def timed(run: Callable[[], object], calls: int) -> float:
    start = perf_counter()
    for _ in range(calls):
        run()
    return (perf_counter() - start) / calls
