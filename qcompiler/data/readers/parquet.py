"""Reader of .parquet tables, a part of a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qcompiler.data.frames.compressed import most_bytes
from qcompiler.data.frames.held import Array, Data
from qcompiler.data.frames.opening import library, open_data, told
from qcompiler.data.frames.source import Reader, Source, Wanted
from qcompiler.ir import DataError

from .arrow_frames import ArrowFrames

_WHAT = "a .parquet file"


class ParquetTable(Source):
    """The rows of a table. Its labels are read at first, for the names of classes."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        super().__init__()
        self._parquet = library("pyarrow.parquet", "pyarrow", "reading .parquet files")
        self._path = path
        with open_data(path) as opened, told(path, _WHAT):
            file = self._parquet.ParquetFile(opened)
            self._length = max(0, int(file.metadata.num_rows))
            for index in range(file.metadata.num_row_groups):
                if file.metadata.row_group(index).total_byte_size > most_bytes():
                    raise DataError(f"{path} has row groups beyond this machine's memory")
            self._frames = ArrowFrames(path, list(file.schema_arrow.names), wanted)
            if self._frames.label is not None:
                batches = file.iter_batches(columns=[self._frames.label])
                self._frames.see_labels(self._frames.readable(one).column(0) for one in batches)

    @property
    def known_labels(self) -> Array | None:
        return self._frames.classes

    def __len__(self) -> int:
        return self._length

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        wanted = iter(range(self._length) if places is None else places)
        place, begin = next(wanted, None), 0
        with open_data(self._path) as opened:
            for batch in self._pieces(opened, size):
                rows = []
                while place is not None and place < begin + len(batch):
                    rows.append(place - begin)
                    place = next(wanted, None)
                if rows:
                    yield from self._frames.frames(batch.take(rows), begin, rows, self.skipped)
                begin += len(batch)
                if place is None:
                    break

    def _pieces(self, opened: Any, size: int) -> Iterator[Any]:
        with told(self._path, _WHAT):
            file = self._parquet.ParquetFile(opened)
            for batch in file.iter_batches(batch_size=size, columns=self._frames.used):
                yield self._frames.readable(batch)


PARQUET = Reader(
    "parquet",
    ".parquet with a column per feature, of lists, or of images",
    lambda path: path.suffix.lower() in (".parquet", ".pq"),
    ParquetTable,
    ("label_column", "resize", "crop"),
)
