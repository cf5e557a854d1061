"""Reader of data sets that Hugging Face's library saved: folders of Arrow files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.data.frames.held import Array, Data
from qcompiler.data.frames.opening import library, open_data, told
from qcompiler.data.frames.source import Reader, Source, Wanted
from qcompiler.ir import DataError
from qcompiler.ir.files import read_text

from .arrow_columns import without_views
from .arrow_frames import ArrowFrames

_WHAT = "a saved data set"
_MOST_TEXT = 1 << 26
_SLACK = 1 << 20


class SavedDataSet(Source):
    """The rows of a split, in files that are mapped to memory."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        super().__init__()
        self._path = path
        folder = _split(path, wanted.options.split)
        self._arrow = library("pyarrow", "pyarrow", "reading data sets of Hugging Face")
        with told(folder, _WHAT):
            state = _json(folder / "state.json")
            names = [str(file["filename"]) for file in state["_data_files"]]
        tables = [self._table(folder / Path(name).name) for name in names]
        with told(folder, _WHAT):
            self._table_ = self._arrow.concat_tables(tables)
            columns = list(self._table_.column_names)
        self._frames = ArrowFrames(folder, columns, wanted)
        with told(folder, _WHAT):
            if self._frames.label is not None:
                self._frames.see_labels(self._table_.column(self._frames.label).chunks)

    @property
    def known_labels(self) -> Array | None:
        return self._frames.classes

    def __len__(self) -> int:
        return int(self._table_.num_rows)

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        chosen = range(len(self)) if places is None else places
        with told(self._path, _WHAT):
            table = self._table_.select(self._frames.used)
        for begin in range(0, len(chosen), size):
            rows = list(chosen[begin : begin + size])
            if rows[-1] - rows[0] == len(rows) - 1:
                part = table.slice(rows[0], len(rows))
            else:
                part = table.take(np.asarray(rows))
            yield from self._frames.frames(part, 0, rows, self.skipped)

    def _table(self, path: Path) -> Any:
        """The table in a file. DataError if it unpacks to more than the file."""
        if path.is_symlink():
            raise DataError(f"{path} is a link, which is not followed")
        open_data(path).close()
        with told(path, "a file of Arrow"):
            mapped = self._arrow.memory_map(str(path))
            batches, held = [], 0
            reader = self._arrow.ipc.open_stream(mapped)
            for batch in reader:
                held += batch.nbytes
                if held > 2 * path.stat().st_size + _SLACK:
                    raise DataError(f"{path} is packed: save the data set without compression")
                batches.append(without_views(batch, self._arrow))
            schema = batches[0].schema if batches else reader.schema
            return self._arrow.Table.from_batches(batches, schema)


def _split(path: Path, split: str | None) -> Path:
    """The folder of a split, or of the set if it has none."""
    if not (path / "dataset_dict.json").is_file():
        if split is not None:
            raise DataError(f"{path} has no splits: leave --split out")
        return path
    with told(path, _WHAT):
        known = [str(name) for name in _json(path / "dataset_dict.json")["splits"]]
    if split is None and len(known) == 1:
        split = known[0]
    if split not in known:
        raise DataError(f"{path} holds {' and '.join(known)}: choose with --split {known[-1]}")
    if split != Path(split).name or split in (".", ".."):
        raise DataError(f"{path} names a split that is no folder: {split!r:.60}")
    return path / split


def _json(path: Path) -> Any:
    return json.loads(read_text(path, _MOST_TEXT))


def _claims(path: Path) -> bool:
    return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))


HUGGING_FACE = Reader(
    "hugging-face",
    "a folder that save_to_disk of Hugging Face's datasets wrote",
    _claims,
    SavedDataSet,
    ("label_column", "split", "resize", "crop"),
)
