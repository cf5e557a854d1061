"""Columns of a table: which are inputs, and which holds the labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.data.frames.held import Array
from qcompiler.data.frames.source import Wanted
from qcompiler.data.frames.words import is_missing, is_number
from qcompiler.ir import DataError

from .named import shown

LABEL_NAMES = ("label", "labels", "target", "class", "y", "fine_label", "fine_labels")

_EXACT = 1 << 53  # from there on, labels are no whole numbers any more


@dataclass(frozen=True)
class Columns:
    """Columns by their places: those of each input, and that of the labels or None.

    ``asked`` tells that the user names the column of the labels.
    """

    inputs: tuple[tuple[int, ...], ...]
    label: int | None
    asked: bool


def choose_columns(names: Sequence[str], wanted: Wanted, path: Path) -> Columns:
    """The columns of the inputs, by their names, or all but the labels for a single input.

    DataError names a column that is missing, and tells if their number is not that of the input.
    """
    own = wanted.options.label_column
    if own is not None and own not in names:
        raise DataError(f"{path} has no column {own}; its columns are {shown(names)}")
    if len({*names}) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DataError(f"{path} has two columns with the name {twice}")
    usual = (name for name in LABEL_NAMES if name in names and name not in wanted.names)
    label = own if own is not None else next(usual, None)
    place = None if label is None else list(names).index(label)
    missing = [name for name in wanted.names if name not in names]
    if not missing:
        inputs = tuple((list(names).index(name),) for name in wanted.names)
        return Columns(inputs, place, own is not None)
    if len(wanted.inputs) > 1:
        has = f"its columns are {shown(names)}"
        raise DataError(f"{path} has no column for the input {missing[0]}; {has}")
    rest = tuple(index for index in range(len(names)) if index != place)
    ((name, shape),) = wanted.inputs
    if len(rest) not in (1, prod(shape)):
        besides = "" if label is None else f" besides {label}"
        spare = label is None and len(rest) == prod(shape) + 1
        remedy = f"remove those that are no features, such as an index, of {shown(names)}"
        if spare:
            remedy = "name the one that holds labels with --label-column"
        raise DataError(
            f"{path} has {len(rest)} columns{besides}, but input {name} expects {prod(shape)}: "
            f"{remedy}"
        )
    return Columns((rest,), place, own is not None)


def classes_of(values: Collection[Any], columns: Columns, path: Path) -> dict[Any, int] | None:
    """The number of each class, without missing values; None for the targets of a regression.

    Whole numbers are their own numbers, and names are numbered in order. DataError if some are
    numbers and some names, or if the user names a column that holds no labels.
    """
    known = {value for value in values if not is_missing(value)}
    names = {value for value in known if isinstance(value, str) and not is_number(value)}
    if names and names != known:
        some = f"such as {min(map(str, known - names))!r:.40} and {min(names)!r:.40}"
        raise DataError(f"the column of labels of {path} holds both numbers and names, {some}")
    if names:
        return {value: index for index, value in enumerate(sorted(names))}
    try:
        found = {value: _whole(value, path) for value in known}
    except ValueError:
        found = {}
    if found:
        return found
    if columns.asked:
        raise DataError(f"the column of labels of {path} holds neither whole numbers nor names")
    return None


def _whole(value: Any, path: Path) -> int:
    """A label as a number. ValueError if it is not whole, DataError if it is beyond all classes."""
    if not isinstance(value, int) and not float(value).is_integer():
        raise ValueError
    if abs(float(value)) >= _EXACT:
        raise DataError(f"the column of labels of {path} holds {value!s:.40}, which is no class")
    return int(float(value))


def as_labels(values: Sequence[Any], classes: dict[Any, int]) -> Array:
    """Classes as numbers."""
    return np.array([classes[value] for value in values], np.int64)
