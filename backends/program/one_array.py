"""One array of what Python code holds for an input: a tensor, a data frame, nested lists."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import DataError, Diagnostic
from qcompiler.ir.kernels import Array

NO_ARRAY = "no array of frames: give each of the inputs an array, or all in one mapping by name"
_FILES = "np.load reads arrays; open_stream and run_stream of qcompiler.data run other data sets"


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
        raise _no_array(given, name)
    if getattr(given, "requires_grad", False) is True and hasattr(given, "detach"):
        given = given.detach()
    try:
        found = _converted(given)
    except (TypeError, RuntimeError, BufferError) as error:
        kind = type(given).__name__
        message = f"{name}: a {kind} cannot become a numpy array: {_remedy(given)}"
        raise DataError(message) from error
    except ValueError as error:  # lists of unlike lengths
        raise DataError(
            f"what is given for {name} has parts of unlike shapes: give one array; several inputs "
            "stand one by one, as in run(a, b)"
        ) from error
    if found.dtype == object and not found.ndim:  # numpy holds what it does not know
        raise _no_array(given, name)
    return found


def _no_array(given: Any, name: str) -> DataError:
    kind = "None" if given is None else f"a {type(given).__name__}"
    return DataError(Diagnostic(f"what is given for {name} is {kind}, {NO_ARRAY}", help=_FILES))


def _remedy(tensor: Any) -> str:
    """What makes an array of a tensor that numpy does not take."""
    device = getattr(tensor, "device", None)
    if getattr(device, "type", device) != "cpu":
        return "copy it to the CPU first, as tensor.cpu() does in PyTorch"
    if "sparse" in str(getattr(tensor, "layout", "")):
        return "give tensor.to_dense()"
    return "give tensor.float(), as numpy has no such numbers"


def check_real(array: Array, name: str) -> None:
    """DataError unless an array is of a type of real numbers, which may be NaN or infinite."""
    if array.dtype.kind not in "uifb":
        remedy = "give real numbers, as array.astype(np.float32) does"
        raise DataError(f"the array for {name} has dtype {array.dtype}: {remedy}")


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
