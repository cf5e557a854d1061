"""Labels: whole numbers, one per frame, from arrays, data files and text files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcompiler.backends.program.given_arrays import as_array
from qcompiler.ir import DataError
from qcompiler.ir.files import read_text

from .held import Array, Inputs
from .numpy_files import arrays_in
from .words import is_number

LABELS = ("labels", "y")
_TEXT_BYTES = 1 << 28


def labels_of(source: Any, count: int | None, inputs: Inputs = ()) -> Array:
    """Labels from a path or array, one integer for each of this many frames; else DataError.

    Without a count there may be any number of them. In a file, arrays named as ``inputs`` are no
    labels. A text file has one label per line.
    """
    if isinstance(source, str | Path):
        source = _from_file(Path(source), {name for name, _ in inputs})
    labels = as_array(source)
    if not are_labels(labels):
        raise DataError("labels must be one integer per frame")
    if count is not None and len(labels) != count:
        raise DataError(f"there are {len(labels)} labels for {count} frames")
    return labels


def are_labels(array: Any) -> bool:
    """Whether an array can be one class per frame."""
    return array.ndim == 1 and array.dtype.kind in "iu"


def labels_among(named: Mapping[str, Any], inputs: Sequence[str]) -> Any:
    """The labels in a file: no input of the model, and none of the targets of a regression."""
    for key in LABELS:
        if key in named and key not in inputs and (key == "labels" or are_labels(named[key])):
            return named[key]
    return None


def _from_file(path: Path, inputs: set[str]) -> Any:
    if path.suffix in (".txt", ".csv"):
        return [_number(line, path) for line in lines_of(path)]
    named = arrays_in(path)
    for name in inputs & {*named} if len(named) > 1 else ():
        del named[name]
    return next((named[key] for key in (*LABELS, *named) if key in named), None)


def lines_of(path: Path) -> list[str]:
    """The lines of a text file that hold something. DataError if it cannot be read."""
    try:
        text = read_text(path, _TEXT_BYTES)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(f"{path} cannot be read: {reason}") from error
    return [line.strip() for line in text.lstrip("\ufeff").splitlines() if line.strip()]


def _number(line: str, path: Path) -> int:
    try:
        return int(line if is_number(line) else "")
    except ValueError:
        raise DataError(f"{path} must have one whole number per line, not {line!r:.60}") from None
