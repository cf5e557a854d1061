"""Schedules from few levels to many, each the best that is known for its latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

from .latency import LatencyModel
from .sensitivity import MOST

_FEWEST = 2
_FREE_GAIN = 1e9  # how much better a step is that delays nothing


class Schedule(NamedTuple):
    """Levels of every value, the step of the last output spike, and the error to be expected."""

    levels: tuple[int, ...]
    latency: int
    error: float


def family(latency_model: LatencyModel, errors: Array, fewest: Sequence[int]) -> list[Schedule]:
    """Schedules from the ``fewest`` levels on: each adds one level where it gains most per step.

    ``errors`` has one row per value and one column per number of levels. Among parallel values,
    those that finish early get levels without extra latency. With errors that are convex in the
    levels and no branches, no schedule of the same latency has a smaller sum of errors.
    """
    levels = list(fewest)
    smooth = np.stack([_envelope(row) for row in errors])
    found: list[Schedule] = []
    while True:
        error = float(errors[np.arange(len(levels)), levels].sum())
        found.append(Schedule(tuple(levels), latency_model.latency(levels), error))
        best = _best_increment(latency_model, smooth, levels)
        if best is None:
            return _best_per_latency(found)
        levels[best] += 1


def _best_increment(latency_model: LatencyModel, errors: Array, levels: list[int]) -> int | None:
    best, most = None, 0.0
    for at, (now, spare) in enumerate(zip(levels, latency_model.slack(levels), strict=True)):
        if now < MOST:
            gain = float(errors[at, now] - errors[at, now + 1])
            worth = gain if spare < 1 else gain * _FREE_GAIN
            if worth > most * latency_model.repeats[at]:
                best, most = at, worth / latency_model.repeats[at]
    return best


def _envelope(row: Array) -> Array:
    """The largest convex function below the errors of a value."""
    corners: list[int] = []
    for n in range(_FEWEST, MOST + 1):
        while len(corners) > 1 and _above(row, corners[-2], corners[-1], n):
            corners.pop()
        corners.append(n)
    result: Array = np.interp(np.arange(MOST + 1), corners, row[corners])
    return result


def _above(row: Array, before: int, corner: int, behind: int) -> bool:
    slope = (row[behind] - row[before]) / (behind - before)
    return bool(row[corner] >= row[before] + slope * (corner - before))


def _best_per_latency(found: list[Schedule]) -> list[Schedule]:
    """The last of every latency, which is the best, unless a shorter one has no larger error."""
    best = {schedule.latency: schedule for schedule in found}
    kept: list[Schedule] = []
    for _, schedule in sorted(best.items()):
        if not kept or schedule.error < kept[-1].error:
            kept.append(schedule)
    return kept


def at_error(schedules: list[Schedule], error: float) -> int:
    """The first schedule whose error is not above this one; else the last."""
    last = len(schedules) - 1
    return next((i for i, schedule in enumerate(schedules) if schedule.error <= error), last)
