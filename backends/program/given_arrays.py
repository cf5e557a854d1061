"""What Python code holds as numpy arrays: tensors, data frames, and iterables of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from qcompiler.ir import DataError
from qcompiler.ir.kernels import Array

_LABELS = ("labels", "label", "y")


def as_array(given: Any) -> Array:
    """An array of what numpy takes, or what has ``__array__`` or ``__dlpack__``.

    Tensors lose their gradient; those of another device need a copy first, which DataError tells.
    So it does of masked values, for which a network has no number.
    """
    if isinstance(given, np.ma.MaskedArray):
        return _unmasked(given)
    if isinstance(given, np.ndarray):
        return given
    if getattr(given, "requires_grad", False) is True and hasattr(given, "detach"):
        given = given.detach()
    try:
        return _converted(given)
    except (TypeError, RuntimeError, BufferError) as error:
        kind = type(given).__name__
        raise DataError(
            f"a {kind} cannot become a numpy array: copy it to the CPU first, "
            "as tensor.cpu() does in PyTorch"
        ) from error


def _unmasked(given: np.ma.MaskedArray[Any, Any]) -> Array:
    mask = np.asarray(given.mask)
    if mask.any():
        count = f"{int(mask.sum()):,} of {given.size:,} values are masked"
        raise DataError(f"{count}: give them numbers, as in array.filled(0)")
    return np.asarray(given.data)


def _converted(given: Any) -> Array:
    if hasattr(given, "__array__") or not hasattr(given, "__dlpack__"):
        found = np.asarray(given)
        if hasattr(given, "columns") and found.dtype == object:  # a data frame of mixed columns
            with suppress(TypeError, ValueError):  # text stays, and is refused by its kind
                found = found.astype(np.float64)
        return found
    try:
        return np.asarray(np.from_dlpack(given))
    except AttributeError as error:  # numpy below 1.23 has no from_dlpack
        raise TypeError from error


def are_batches(given: Any) -> bool:
    """Whether this gives batches one by one: a generator or a DataLoader, but no array."""
    if isinstance(given, np.ndarray | Sequence | Mapping | str | bytes):
        return False
    held = any(hasattr(given, name) for name in ("__array__", "__dlpack__", "shape"))
    return isinstance(given, Iterable) and not held


def batches_of(
    given: Iterable[Any], names: Sequence[str]
) -> Iterator[tuple[tuple[Array, ...], Any]]:
    """Arrays, one per name, and labels or None, of each batch.

    A batch is an array, a sequence of one array per input with labels behind them or not, or a
    mapping by name, with labels under ``labels``, ``label`` or ``y``. Else DataError.
    """
    for number, batch in enumerate(given):
        if isinstance(batch, Mapping):
            yield _by_name(batch, names, number)
        elif isinstance(batch, list | tuple):
            if len(batch) not in (len(names), len(names) + 1):
                raise DataError(
                    f"batch {number} has {len(batch)} parts for {len(names)} inputs: give one "
                    "array per input, and labels behind them if there are any"
                )
            arrays = tuple(map(as_array, batch[: len(names)]))
            yield arrays, as_array(batch[-1]) if len(batch) > len(names) else None
        else:
            yield (as_array(batch),), None


def _by_name(
    batch: Mapping[str, Any], names: Sequence[str], number: int
) -> tuple[tuple[Array, ...], Any]:
    others = [key for key in batch if key not in _LABELS]
    if len(names) == len(others) == 1:
        batch = {**batch, names[0]: batch[others[0]]}  # the only one, by whatever name
    if missing := [name for name in names if name not in batch]:
        raise DataError(f"batch {number} holds no array for the input {', '.join(missing)}")
    known = (batch[key] for key in _LABELS if key in batch and key not in names)
    labels = next(known, None)
    arrays = tuple(as_array(batch[name]) for name in names)
    return arrays, None if labels is None else as_array(labels)
