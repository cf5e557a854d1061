"""Labels: whole numbers, one per frame, from arrays, data files and text files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcompiler.backends.program.given_arrays import LABELS, check_are_labels, item_of
from qcompiler.backends.program.one_array import as_array
from qcompiler.ir import DataError
from qcompiler.ir.files import read_text

from .held import Array, Inputs
from .numpy_files import arrays_in
from .words import is_number

_TEXT_BYTES = 1 << 28


def labels_of(source: Any, count: int | None, inputs: Inputs = ()) -> Array:
    """Labels from a path or array, one integer for each of this many frames; else DataError.

    Without a count there may be any number of them. In a file, and in a mapping, arrays named as
    ``inputs`` are no labels. A text file has one label per line.
    """
    if isinstance(source, str | Path):
        source = _from_file(Path(source))
    if isinstance(source, Mapping):
        source = _by_name(source, {name for name, _ in inputs})
    labels = as_array(source, "labels")
    check_are_labels(labels)
    if count is not None and len(labels) != count:
        raise DataError(f"there are {len(labels)} labels for {count} frames")
    return labels


def _from_file(path: Path) -> Any:
    if path.suffix in (".txt", ".csv"):
        return [_number(line, path) for line in lines_of(path)]
    return arrays_in(path)


def _by_name(named: Mapping[str, Any], inputs: set[str]) -> Any:
    """The labels, or else the first array, of those that are no inputs."""
    others = [name for name in named if name not in inputs or len(named) == 1]
    return next((item_of(named, key) for key in (*LABELS, *others) if key in others), None)


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
