"""Numbers that no neuron can code: NaN, infinities, and what is infinite in single precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qcompiler.ir import DataError

from .held import Array

LARGEST = float(np.finfo(np.float32).max)


def finite_rows(array: Array) -> Array:
    """Whether each frame holds finite numbers only."""
    if array.dtype.kind != "f":
        return np.ones(len(array), bool)
    flat = array.reshape(len(array), -1)
    found: Array = (np.abs(flat) <= LARGEST).all(axis=1)
    return found


def keep_finite(
    arrays: tuple[Array, ...],
    names: Sequence[str],
    places: Array,
    where: Any,
    skipped: set[str],
) -> tuple[tuple[Array, ...], Array]:
    """The frames that are finite, one array per input name, and their places in a file.

    DataError with the file ``where``, the row and the column of the first number that is not;
    without ``where``, names of the others are added to ``skipped``.
    """
    good = np.logical_and.reduce([finite_rows(array) for array in arrays])
    if good.all():
        return arrays, places
    if where is None:
        skipped |= {f"row {place + 1}" for place in places[~good]}
        return tuple(array[good] for array in arrays), places[good]
    row = int(np.argmin(good))
    found = next(n for n, array in enumerate(arrays) if not finite_rows(array)[row])
    of = f" of {names[found]}" if len(names) > 1 else ""
    raise DataError(f"row {places[row] + 1} of {where} has {_cell(arrays[found][row])}{of}")


def _cell(frame: Array) -> str:
    """The first number of a frame that is not finite, and where it stands."""
    flat = frame.reshape(-1)
    at = int(np.argmin(np.abs(flat) <= LARGEST))
    index = [int(n) for n in np.unravel_index(at, frame.shape)]
    place = f"column {index[0]}" if len(index) == 1 else f"place {index}"
    return f"{flat[at]:g} in {place}" if index else f"{flat[at]:g}"
