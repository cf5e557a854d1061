"""Rows of Arrow tables as batches of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.data.frames.arrange import takes
from qcompiler.data.frames.finite import finite_rows
from qcompiler.data.frames.held import Array, Data
from qcompiler.data.frames.opening import library, told
from qcompiler.data.frames.source import Wanted
from qcompiler.ir import DataError

from .arrow_columns import ColumnReader, plain, without_views
from .columns import as_labels, choose_columns, classes_of
from .named import shown

_USUAL = ("image", "images", "img", "pixel_values", "x", "inputs", "features")
_MOST_CLASSES = 100_000


class ArrowFrames:
    """Makes frames of tables with these columns. DataError if none is that of an input."""

    def __init__(self, path: Path, names: list[str], wanted: Wanted) -> None:
        self._path, self._names = path, names
        self._arrow = library("pyarrow", "pyarrow", "reading tables of Arrow")
        self._skip, self._wanted = wanted.options.skip_bad, wanted
        self._form: list[tuple[int, ...]] = []
        self._reader = ColumnReader(path, wanted, self._arrow)
        self._columns = choose_columns(_renamed(names, wanted), wanted, path)
        self._classes: dict[Any, int] | None = None

    @property
    def label(self) -> str | None:
        """The column of the labels."""
        return None if self._columns.label is None else self._names[self._columns.label]

    @property
    def classes(self) -> Array | None:
        """The numbers of the classes, once they are known."""
        return None if self._classes is None else as_labels(list(self._classes), self._classes)

    @property
    def used(self) -> list[str]:
        """The columns that are read."""
        places = {place for places in self._columns.inputs for place in places}
        if self._columns.label is not None:
            places.add(self._columns.label)
        return [self._names[place] for place in sorted(places)]

    def readable(self, batch: Any) -> Any:
        """A batch as it can be indexed."""
        return without_views(batch, self._arrow)

    def see_labels(self, parts: Iterable[Any]) -> None:
        """Number the classes, from the whole column of the labels."""
        seen: set[Any] = set()
        for part in parts:
            values = plain(part, self._arrow)
            if self._arrow.types.is_nested(values.type):
                break
            seen.update(values.unique().to_pylist())
            if len(seen) > _MOST_CLASSES:
                break
        many = len(seen) > _MOST_CLASSES
        self._classes = None if many else classes_of(seen, self._columns, self._path)

    def frames(
        self, table: Any, begin: int, rows: Sequence[int], skipped: set[str]
    ) -> Iterator[Data]:
        """A batch of the rows of a table, which have these places behind ``begin``.

        Raises DataError for a bad one, or adds its name to ``skipped``.
        """
        with told(self._path, "a table of Arrow"):
            try:
                found = [self._together(table)]
            except DataError as error:
                if not self._skip:
                    raise self._named(error, table, begin, rows) from error
                found = list(self._good(table, begin, rows, skipped))
        yield from found

    def _named(self, error: DataError, table: Any, begin: int, rows: Sequence[int]) -> DataError:
        """The error with the first row that has it alone, or is of another form than the first."""
        form: list[tuple[int, ...]] = []
        for index, row in enumerate(rows):
            try:
                found = _form(self._together(table.slice(index, 1)))
                if found == (form := form or found):
                    continue
            except DataError as one:
                error = one
            text = str(error).removeprefix("error: ")
            return DataError(f"{text} (row {begin + row + 1})")
        return error

    def _good(
        self, table: Any, begin: int, rows: Sequence[int], skipped: set[str]
    ) -> Iterator[Data]:
        for index, row in enumerate(rows):
            found: Data | None = None
            with suppress(DataError):
                found = self._together(table.slice(index, 1))
            if found is not None and self._fits(_form(found)):
                yield found
            else:
                skipped.add(f"row {begin + row + 1}")

    def _fits(self, form: list[tuple[int, ...]]) -> bool:
        """Whether the network takes a row of this form, which is that of the first such row."""
        pairs = zip(self._wanted.inputs, form, strict=True)
        if not self._form and all(takes(to, of, self._wanted.layout) for (_, to), of in pairs):
            self._form = form
        return form == self._form

    def _together(self, table: Any) -> Data:
        arrays = tuple(self._input(table, places) for places in self._columns.inputs)
        labels = None
        if self.label is not None and self._classes is not None:
            values = plain(table.column(self.label), self._arrow).to_pylist()
            for value in values:
                if value not in self._classes:
                    told = (
                        "an empty cell" if value is None else f"{value!s:.40}, which is no label,"
                    )
                    raise DataError(f"{self._path} has {told} in column {self.label}")
            labels = as_labels(values, self._classes)
        return Data(arrays, labels)

    def _input(self, table: Any, places: tuple[int, ...]) -> Array:
        names = [self._names[place] for place in places]
        columns = [self._reader.values(table.column(name), name) for name in names]
        if len({one.shape for column in columns for one in column}) > 1:
            remedy = "images need --resize and --crop"
            raise DataError(f"{self._path} has unlike sizes in {shown(names)}: {remedy}")
        found = [np.stack(column) for column in columns]
        for name, array in zip(names, found, strict=True):
            if not finite_rows(array).all():
                raise DataError(f"{self._path} has NaN or an infinite number in column {name}")
        return found[0] if len(found) == 1 else np.stack(found, axis=1)


def _form(data: Data) -> list[tuple[int, ...]]:
    return [array.shape[1:] for array in data.arrays]


def _renamed(names: list[str], wanted: Wanted) -> list[str]:
    """The names of columns, the usual one for images as that of the only input."""
    usual = next((name for name in _USUAL if name in names), None)
    if usual is None or len(wanted.inputs) != 1 or wanted.names[0] in names:
        return names
    return [wanted.names[0] if name == usual else name for name in names]
