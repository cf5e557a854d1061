"""Frames of arrays that are read from the beginning of files on: packed ones, or beyond memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from qcompiler.ir import DataError

from .arrange import check_lengths, check_numbers
from .finite import keep_finite
from .held import Array, Data
from .opening import told
from .packed import Packed
from .source import InMemory, Source

_PIECE = 1 << 24  # bytes that are read at once
MOST_HELD = 1 << 27  # bytes of arrays that are read as a whole; of these frames come in any order


def source_of(
    arrays: Sequence[Packed],
    names: Sequence[str],
    labels: Array | None,
    path: Path,
    what: str,
    skip_bad: bool,
) -> Source:
    """The frames of a file: held in memory if they are few, else read as they are needed.

    ``what`` the file should be. DataError if it is none, or for arrays of unlike lengths.
    """
    for array, name in zip(arrays, names, strict=True):
        check_numbers(array, name)
    small = sum(array.nbytes for array in arrays) <= MOST_HELD
    if small or not all(array.in_order for array in arrays):
        held = tuple(array.whole() for array in arrays)
        return InMemory(held, names, labels, path, skip_bad)
    return Sequential(arrays, names, labels, path, what, skip_bad)


class Sequential(Source):
    """The frames of packed arrays, one array per input name."""

    takes_labels = True

    def __init__(
        self,
        arrays: Sequence[Packed],
        names: Sequence[str],
        labels: Array | None,
        path: Path,
        what: str,
        skip_bad: bool,
    ) -> None:
        super().__init__()
        check_lengths(arrays)
        self.labels = labels
        self._arrays, self._names, self._skip = arrays, names, skip_bad
        self._path, self._what = path, what

    def __len__(self) -> int:
        return len(self._arrays[0])

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        chosen = range(len(self)) if places is None else places
        with ExitStack() as stack:
            with told(self._path, self._what):
                files = [array.open(stack) for array in self._arrays]
                starts = [file.tell() for file in files]
            pairs = list(zip(files, starts, self._arrays, strict=True))
            for begin in range(0, len(chosen), size):
                part = np.asarray(chosen[begin : begin + size], np.int64)
                with told(self._path, self._what):
                    arrays = tuple(self._read(*pair, part) for pair in pairs)
                where = None if self._skip else self._path
                arrays, kept = keep_finite(arrays, self._names, part, where, self.skipped)
                if len(kept):
                    labels = None if self.labels is None else self.labels[kept]
                    yield Data(arrays, labels, places=kept)

    def _read(self, file: BinaryIO, start: int, array: Packed, places: Array) -> Array:
        """The frames at some places, which are not before the last that was read."""
        ends = np.flatnonzero(np.diff(places) != 1) + 1
        held = []
        for run in np.split(places, ends):
            file.seek(start + int(run[0]) * array.frame)
            held.append(_at_most(file, len(run) * array.frame))
        found = b"".join(held)
        if len(found) < len(places) * array.frame or self._goes_on(file, places):
            raise DataError(f"{self._path} is cut, or is too long")
        numbers = np.frombuffer(found, array.dtype).reshape(len(places), *array.shape[1:])
        return numbers.astype(array.dtype.newbyteorder("="), copy=False)

    def _goes_on(self, file: BinaryIO, places: Array) -> bool:
        return bool(places[-1] == len(self) - 1 and file.read(1))


def _at_most(file: BinaryIO, count: int) -> bytes:
    """So many bytes, or what is left; takes no memory for those that are not there."""
    parts = []
    while count and (part := file.read(min(count, _PIECE))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
