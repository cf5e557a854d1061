"""Reader of .csv and .tsv tables, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from math import nan
from pathlib import Path

import numpy as np

from qcompiler.data.frames.finite import LARGEST
from qcompiler.data.frames.held import Array, Data
from qcompiler.data.frames.opening import open_data
from qcompiler.data.frames.source import Reader, Source, Wanted
from qcompiler.data.frames.words import is_number
from qcompiler.ir import DataError

from .columns import as_labels, choose_columns, classes_of

_LONGEST_LINE = 1 << 24
_MOST_CLASSES = 100_000


class CsvTable(Source):
    """The rows of a table. Its first pass counts them, and collects the classes."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        super().__init__()
        self._path, self._skip = path, wanted.options.skip_bad
        self._separator, self._names, self._head = self._first_line()
        self._columns = choose_columns(self._names, wanted, path)
        self._length = 0
        seen: set[str] = set()
        for row in self._rows():
            self._length += 1
            label = self._columns.label
            if label is not None and label < len(row) and len(seen) < _MOST_CLASSES:
                seen.add(row[label].strip())
        few = self._columns.label is not None and len(seen) < _MOST_CLASSES
        self._classes = classes_of(seen, self._columns, path) if few else None

    @property
    def known_labels(self) -> Array | None:
        return None if self._classes is None else as_labels(list(self._classes), self._classes)

    def __len__(self) -> int:
        return self._length

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        wanted = iter(range(self._length) if places is None else places)
        place, held = next(wanted, None), []
        for number, row in enumerate(self._rows()):
            if place is None:
                break
            if number == place:
                held.append((number, row))
                place = next(wanted, None)
            if len(held) == size:
                yield from self._batch(held)
                held = []
        yield from self._batch(held)

    def _batch(self, rows: list[tuple[int, list[str]]]) -> Iterator[Data]:
        """A batch of the rows that hold numbers where they should."""
        used = [place for places in self._columns.inputs for place in places]
        label, numbers, classes = self._columns.label, [], []
        for at, row in rows:
            try:
                numbers.append(self._numbers(at, row, used))
            except DataError:
                if not self._skip:
                    raise
                self.skipped.add(f"row {at + 1}")
                continue
            if label is not None and self._classes is not None:
                classes.append(row[label].strip())
        if not numbers:
            return
        table = np.array(numbers, np.float64)
        ends = np.cumsum([len(places) for places in self._columns.inputs])[:-1]
        known = as_labels(classes, self._classes) if self._classes is not None else None
        yield Data(tuple(np.split(table, ends, axis=1)), known)

    def _numbers(self, at: int, row: list[str], used: list[int]) -> list[float]:
        where = f"row {at + 1} of {self._path}"
        if len(row) != len(self._names):
            raise DataError(f"{where} has {len(row)} cells, not {len(self._names)}")
        label, classes = self._columns.label, self._classes
        if label is not None and classes is not None and row[label].strip() not in classes:
            told = (
                f"{cell!r:.40}, which is no label," if (cell := row[label].strip()) else "no label"
            )
            raise DataError(f"{where} has {told} in column {self._names[label]}")
        found = []
        for place in used:
            number = float(row[place]) if is_number(row[place]) else nan
            if not abs(number) <= LARGEST:  # nor is NaN
                cell, name = f"{row[place]!r:.40}", self._names[place]
                raise DataError(f"{where} has {cell} in column {name}, not a number")
            found.append(number)
        return found

    def _first_line(self) -> tuple[str, list[str], int]:
        """The separator, the names of columns, and how many lines hold names."""
        line = next(self._lines(), "")
        if not line:
            raise DataError(f"{self._path} is empty")
        if not line.strip():
            raise DataError(f"{self._path} begins with an empty line: remove it")
        separator = max(",;\t", key=line.count)
        try:
            names = [name.strip() for name in next(csv.reader([line], delimiter=separator))]
        except csv.Error as error:
            raise DataError(f"{self._path}, line 1: {error}") from error
        if all(map(is_number, names)):
            return separator, [str(index) for index in range(len(names))], 0
        return separator, names, 1

    def _rows(self) -> Iterator[list[str]]:
        with closing(self._lines()) as lines:  # also where an error holds this frame
            yield from self._rows_of(lines)

    def _rows_of(self, lines: Iterator[str]) -> Iterator[list[str]]:
        # A quote that nothing closes takes the empty line at the end, too.
        rows = csv.reader(chain(lines, ["\n"]), delimiter=self._separator)
        line = 0
        try:
            for number, row in enumerate(rows):
                if rows.line_num > line + 1 and self._swallows(row):
                    end = "the end" if next(rows, None) is None else f"line {rows.line_num}"
                    raise DataError(self._stray(line + 1, end))
                line = rows.line_num
                if row and number >= self._head:
                    yield row
        except csv.Error as error:
            if rows.line_num > line + 1:  # a cell beyond all bounds
                raise DataError(self._stray(line + 1, f"line {rows.line_num}")) from error
            raise DataError(f"{self._path}, line {rows.line_num}: {error}") from error

    def _swallows(self, row: list[str]) -> bool:
        """Whether a row of several lines is due to a stray quote, and not to a text in quotes.

        Texts of several lines stand in columns that are not used, and no line of theirs looks like
        a row.
        """
        if len(row) != len(self._names):
            return True
        used = {place for places in self._columns.inputs for place in places}
        if self._columns.label is not None:
            used.add(self._columns.label)
        if any("\n" in row[place] or "\r" in row[place] for place in used):
            return True
        cells = len(row) - 1
        lines = (line for cell in row for line in cell.splitlines())
        return any(line.count(self._separator) >= cells for line in lines)

    def _stray(self, first: int, last: str) -> str:
        return (
            f"{self._path}, line {first}: a cell that begins with a quote goes on to {last}: "
            "remove the stray quote, or close it"
        )

    def _lines(self) -> Generator[str, None, None]:
        with open_data(self._path) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", newline="")
            try:
                while line := text.readline(_LONGEST_LINE):
                    if len(line) == _LONGEST_LINE:
                        raise DataError(f"{self._path} has a line beyond {_LONGEST_LINE:,} bytes")
                    yield line
            except UnicodeDecodeError as error:
                raise DataError(f"{self._path} is not a table in UTF-8") from error


def _claims(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv")


CSV = Reader("csv", ".csv with a column per feature", _claims, CsvTable, ("label_column",))
