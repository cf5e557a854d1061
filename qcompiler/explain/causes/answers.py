"""With labels: the change of the data that lets a model answer significantly more frames right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import DataError
from qcompiler.ir.kernels import Array

from .preprocessing import Change, changes

_SIGMAS = 4
Answers: TypeAlias = Callable[[Array, Preprocessing], "Array | None"]


def better_change(
    right: Answers, x: Array, labels: Array, given: Preprocessing
) -> tuple[Change, Array, Array] | None:
    """The best change, which frames are right without, and which with it; None if none helps.

    ``right`` says which frames of raw data are answered right with a preprocessing, ``given`` is
    that which is compiled in.
    """
    now = right(x, given)
    if now is None or np.count_nonzero(~now) <= _SIGMAS**2:  # too few for significance
        return None
    names, counts = np.unique(labels, return_counts=True)
    commonest = labels == names[counts.argmax()]
    best, most = now, 0.0
    change: Change | None = None
    for tried in changes(x.shape[1:], given):
        try:
            found = right(tried.apply(x.astype(np.float32)), tried.before)
        except DataError:  # the model overflows on such data
            continue
        if found is None:
            continue
        sign = min(_significance(found, other) for other in (now, commonest))
        if sign > most:
            best, most, change = found, sign, tried
    return None if change is None or most < _SIGMAS else (change, now, best)


def detail_of(change: Change, now: Array, best: Array) -> str:
    """The numbers in words."""
    return (
        f"the ANN itself classifies {now.mean():.2%} of {len(now)} frames correctly; "
        f"{best.mean():.2%} if the data are {change.what}"
    )


def right_of(scores: Array, labels: Array) -> Array | None:
    """Which frames outputs answer right; None if they name no class."""
    flat = scores.reshape(len(scores), -1)
    if scores.dtype.kind == "i" and flat.shape[1] == 1:
        found: Array = flat[:, 0] == labels
        return found
    if scores.dtype.kind != "f" or flat.shape[1] < 2 or flat.shape[1] <= labels.max():
        return None
    found = flat.argmax(axis=1) == labels
    return found


def _significance(one: Array, other: Array) -> float:
    """By how many standard deviations more frames are right in one than in the other."""
    gained, lost = np.count_nonzero(one & ~other), np.count_nonzero(other & ~one)
    return float((gained - lost) / np.sqrt(max(1, gained + lost)))
