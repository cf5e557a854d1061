"""What Python code holds as numpy arrays: tensors, data frames, mappings, iterables of batches.

Wherever Python gives arrays for inputs, `arrays_of` reads them: one each in order, or by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import CompileError, DataError, Diagnostic
from qcompiler.ir.diagnostics import kind_and_text
from qcompiler.ir.kernels import Array

LABELS = ("labels", "label", "y")  # names that arrays of labels have
NO_ARRAY = "no array of frames: give each of the inputs an array, or all in one mapping by name"


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


def as_array(given: Any, name: str) -> Array:
    """An array of what numpy takes, or what has ``__array__`` or ``__dlpack__``.

    Tensors lose their gradient; those of another device need a copy first, which DataError tells.
    So it does of masked values, for which a network has no number. Errors tell the name of the
    input.
    """
    if isinstance(given, np.ma.MaskedArray):
        return _unmasked(given, name)
    if isinstance(given, np.ndarray):
        return given
    if isinstance(given, Mapping | str | bytes | Path):
        raise DataError(f"what is given for {name} is a {type(given).__name__}, {NO_ARRAY}")
    if getattr(given, "requires_grad", False) is True and hasattr(given, "detach"):
        given = given.detach()
    try:
        return _converted(given)
    except (TypeError, RuntimeError, BufferError) as error:
        kind = type(given).__name__
        raise DataError(
            f"{name}: a {kind} cannot become a numpy array: copy it to the CPU first, "
            "as tensor.cpu() does in PyTorch"
        ) from error
    except ValueError as error:  # lists of unlike lengths
        raise DataError(
            f"what is given for {name} has parts of unlike shapes: give one array; several inputs "
            "stand one by one, as in run(a, b)"
        ) from error


def _unmasked(given: np.ma.MaskedArray[Any, Any], name: str) -> Array:
    mask = np.asarray(given.mask)
    if mask.any():
        count = f"{int(mask.sum()):,} of {given.size:,} values are masked"
        raise DataError(f"{name}: {count}: give them numbers, as in array.filled(0)")
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
    given: Iterable[Any], names: Sequence[str], unread: Collection[str] = ()
) -> Iterator[tuple[tuple[Array, ...], Any]]:
    """Arrays, one per name, and labels or None, of each batch.

    A batch is an array, a sequence of one array per input with labels behind them or not, or a
    mapping by name, with labels or not; the only array that such one holds for a network with one
    input may have any name. Else DataError.
    """
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
