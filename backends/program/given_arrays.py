"""What Python code holds as numpy arrays: tensors, data frames, mappings, iterables of batches.

Wherever Python gives arrays for inputs, `arrays_of` reads them: one each in order, or by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qcompiler.ir import CompileError, DataError, Diagnostic
from qcompiler.ir.diagnostics import kind_and_text
from qcompiler.ir.kernels import Array

from .one_array import as_array

_OF_FILES = "give its path as calibration data; np.load(file) makes arrays of it, also for runs"
LABELS = ("labels", "label", "y")  # names that arrays of labels have


def arrays_of(
    given: Sequence[Any], names: Sequence[str], unread: Collection[str] = ()
) -> tuple[Array, ...]:
    """Arrays, one for each of the inputs of these names: in their order, or in one mapping by name.

    DataError if there are not as many; `by_name` tells what a mapping may hold.
    """
    if len(given) == 1 and isinstance(given[0], Mapping):
        return by_name(given[0], names, unread)
    if len(given) != len(names):
        raise DataError(
            f"give one array for each input, {', '.join(names)}, or one mapping by name "
            f"({len(given)} given)"
        )
    return tuple(map(as_array, given, names))


def by_name(
    given: Mapping[Any, Any], names: Sequence[str], unread: Collection[str] = (), where: str = ""
) -> tuple[Array, ...]:
    """The arrays of a mapping, such as an open .npz, in the order of the inputs' names.

    Labels (see `labels_among`) and the model's ``unread`` inputs are left aside. DataError for any
    other name, and for an array that is missing or cannot be read; it begins with ``where``.
    """
    if unknown := [str(key) for key in given if key not in (*names, *unread, *LABELS)]:
        known = f"the inputs are {', '.join(names)}"
        raise DataError(f"{where}no input is named {', '.join(unknown)}: {known}")
    if missing := [name for name in names if name not in given]:
        raise DataError(f"{where}the data hold no array for the input {', '.join(missing)}")
    return tuple(as_array(item_of(given, name), name) for name in names)


def item_of(given: Mapping[Any, Any], name: str) -> Any:
    """What a mapping holds by a name. DataError if it cannot be read."""
    try:
        return given[name]
    except (CompileError, MemoryError):
        raise
    except Exception as error:  # of a file that is closed, damaged, or holds objects
        message = f"the array for {name} cannot be read: {kind_and_text(error)}"
        help_ = "give arrays of numbers; a file that holds them must be open"
        raise DataError(Diagnostic(message, help=help_)) from error


def labels_among(named: Mapping[str, Any], inputs: Sequence[str]) -> Any:
    """The labels among arrays by name: no input of the model, no targets of a regression."""
    for key in LABELS:
        if key in named and key not in inputs and (key == "labels" or are_labels(named[key])):
            return named[key]
    return None


def given_labels(given: Mapping[Any, Any], inputs: Sequence[str]) -> Array | None:
    """The labels of a mapping as Python code holds it; else None."""
    found = {key: as_array(item_of(given, key), key) for key in LABELS if key in given}
    labels: Array | None = labels_among(found, inputs)
    return labels


def are_labels(array: Any) -> bool:
    """Whether an array can be one class per frame."""
    return array.ndim == 1 and array.dtype.kind in "iu"


def check_are_labels(array: Array) -> None:
    """DataError, with a remedy where there is one, unless an array can be one class per frame."""
    if are_labels(array):
        return
    message = f"labels must be one integer per frame, not an array {array.shape} of {array.dtype}"
    raise DataError(Diagnostic(message, help=_remedy(array)))


def _remedy(array: Array) -> str | None:
    if array.ndim > 1 and array.size == len(array):
        return "give labels.reshape(-1)"
    if array.ndim > 1:
        return "labels.argmax(axis=1) makes them of one-hot rows"
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        return "np.unique(labels, return_inverse=True)[1] numbers names of classes"
    if array.ndim and np.array_equal(numbers, np.rint(numbers)):
        return "give labels.astype(int)"
    return None


def are_batches(given: Any) -> bool:
    """Whether this gives batches one by one: a generator or a DataLoader, but no array."""
    if isinstance(given, np.ndarray | Sequence | Mapping | str | bytes):
        return False
    held = any(hasattr(given, name) for name in ("__array__", "__dlpack__", "shape"))
    return isinstance(given, Iterable) and not held


def batches_of(
    given: Iterable[Any], names: Sequence[str], unread: Collection[str] = ()
) -> Iterator[tuple[tuple[Array, ...], Any]]:
    """Arrays, one per name, and labels or None, of each batch.

    A batch is an array, a sequence of one array per input with labels behind them or not, or a
    mapping by name, with labels or not; the only array that such one holds for a network with one
    input may have any name. Else DataError; so for an open file, whose lines are no batches.
    """
    if hasattr(given, "readline"):
        raise DataError(Diagnostic("the data are an open file, which is not read", help=_OF_FILES))
    for number, batch in enumerate(given):
        if isinstance(batch, Mapping):
            named = _renamed(batch, names)
            arrays = by_name(named, names, unread, f"batch {number}: ")
            yield arrays, given_labels(named, names)
        elif isinstance(batch, list | tuple):
            if len(batch) not in (len(names), len(names) + 1):
                raise DataError(
                    f"batch {number} has {len(batch)} parts for {len(names)} inputs: give one "
                    "array per input, and labels behind them if there are any"
                )
            arrays = tuple(map(as_array, batch, names))
            yield arrays, as_array(batch[-1], "labels") if len(batch) > len(names) else None
        else:
            yield arrays_of((batch,), names), None


def _renamed(batch: Mapping[Any, Any], names: Sequence[str]) -> Mapping[Any, Any]:
    """A batch whose only array has the name of the only input."""
    others = [key for key in batch if key not in LABELS]
    if len(names) != 1 or len(others) != 1 or names[0] in batch:
        return batch
    return {names[0] if key == others[0] else key: batch[key] for key in batch}
