"""Frames of a source, arranged as a network takes them and checked, batch by batch."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import DataError, PipelineError
from qcompiler.ir.diagnostics import is_ours

from .data_set import DataSet, checked_places, whole_number
from .find import length_of, reader_of, reading
from .frames.arrange import arranged, check_label_count
from .frames.held import Array, Data, Inputs, checked_inputs
from .frames.labels import labels_of
from .frames.source import Indexed, Reader, Source, Wanted, check_rows, name_of

_BATCH = 64  # frames that are read at a time where nothing else decides


class Stream:
    """The first frames of a source, ``frames x shape`` for each input.

    ``labels`` are those of the frames, once something has set them. ``len`` counts bad frames, too;
    those left out have a name in ``skipped``.
    """

    def __init__(self, source: Source, wanted: Wanted, limit: int | None = None) -> None:
        self.source, self.wanted = source, wanted
        self.labels: Array | None = None
        self._kept: Array | None = None
        self._total = length_of(source)
        most = self._total if limit is None else whole_number(limit, "limit")
        self._length = min(most, self._total)
        if source.labels is not None:
            check_label_count(source.labels, self._total)
        if not self._length:
            raise DataError("the data are empty")

    def __len__(self) -> int:
        return self._length

    @property
    def skipped(self) -> set[str]:
        """Names of the bad frames that were left out so far."""
        return self.source.skipped

    @property
    def known_labels(self) -> Array | None:
        """Labels that occur among the frames, if they are known before frames are read."""
        if self.source.labels is not None:
            return self.source.labels[: self._length]
        return self.source.known_labels if self._length == self._total else None

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        """Frames at ``places`` (ascending), or all, at most ``size`` at a time.

        Raises DataError for frames that do not fit, or are bad, PipelineError if the reader of a
        plugin fails, or loses frames.
        """
        size = whole_number(size, "size")
        chosen = range(self._length) if places is None else checked_places(places, self._length)
        with reading(self.source):
            batches = iter(self.source.batches(size, chosen))
        counts: list[int] = []
        try:
            yield from iter(partial(self._next, batches, counts), None)  # holds no batch meanwhile
        finally:  # else the file is open as long as an error of a batch is held
            if isinstance(batches, Generator):
                batches.close()
        if sum(counts) < len(chosen) and not (self.skipped or is_ours(self.source)):
            lost = f"gives {sum(counts):,} of {len(chosen):,} frames"
            raise PipelineError(f"{name_of(self.source)} {lost}: name bad ones in skipped")

    def _next(self, batches: Iterator[Data], counts: list[int]) -> Data | None:
        with reading(self.source):
            batch = next(batches, None)
            if batch is None:
                return None
            check_rows(self.source, batch.arrays, batch.places)
            found = arranged(batch, self.wanted.inputs, self.wanted.layout)
            counts.append(len(found))
            return found

    def keep(self, frames: int, places: Array | None) -> None:
        """From now on `spread` and `at` know the frames that were read: as many, at these places.

        Without places, frames after an interrupt are left out at least.
        """
        self._kept = places
        if places is None:
            self._length = min(self._length, frames + len(self.skipped))

    def spread(self, count: int) -> Data:
        """This many frames, evenly spread, without bad ones."""
        count = whole_number(count, "count")
        known = np.arange(self._length) if self._kept is None else self._kept
        return self.gather(
            known[np.linspace(0, len(known) - 1, min(count, len(known))).astype(int)]
        )

    def at(self, place: int) -> Data:
        """One frame: by its place, or its number among those that were kept. DataError if bad."""
        return self.gather(np.array([place]) if self._kept is None else self._kept[[place]])

    def gather(self, places: Array) -> Data:
        """The frames at some places, in memory. DataError if every one is bad."""
        size = self._length if isinstance(self.source, Indexed) else _BATCH
        parts = list(self.batches(size, places.tolist()))
        if not parts:
            raise DataError(f"none of the {self._length} frames can be read")
        return joined(parts)


def skipped_text(names: Collection[str]) -> str:
    """A sentence on bad frames that were left out."""
    frames = "frame is" if len(names) == 1 else "frames are"
    return f"{len(names)} bad {frames} left out, such as {min(names)}"


def joined(parts: Sequence[Data]) -> Data:
    """Batches as one; no copy of a single one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    arrays = tuple(map(np.concatenate, zip(*(part.arrays for part in parts), strict=True)))
    labels = [part.labels for part in parts if part.labels is not None]
    return replace(first, arrays=arrays, labels=np.concatenate(labels) if labels else None)


def open_stream(
    source: str | Path | DataSet,
    inputs: Inputs,
    layout: str | None = None,
    limit: int | None = None,
) -> Stream:
    """Open a data set for a network with these inputs; of its frames the first ``limit``.

    ``inputs`` are pairs of a name and a shape. Raises DataError for other ones, if no reader can
    read the path, and for options that it does not take.
    """
    inputs = checked_inputs(inputs)
    given = source if isinstance(source, DataSet) else DataSet(source)
    return Stream(open_source(given, inputs, layout), Wanted(inputs, layout, given.options), limit)


def open_source(
    given: DataSet, inputs: Inputs, layout: str | None = None, sequences: bool = False
) -> Source:
    """Open a data set as its reader does, frames as they are. Raises as `open_stream` does.

    Where frames may be ``sequences``, labels that the user gives may be more than these.
    """
    options, path = given.options, Path(given.path)
    reader = reader_of(path)
    for name in ("label_column", "split", "resize", "crop"):
        if _given(getattr(options, name)) and name not in reader.options:
            raise _of_no_use(name, path, reader)
    opened = reader.open(path, Wanted(inputs, layout, options))
    if options.labels is not None and opened.takes_labels:
        count = None if sequences else length_of(opened)
        opened.labels = labels_of(options.labels, count, inputs)
    elif options.labels is not None and "labels" not in reader.options:
        raise _of_no_use("labels", path, reader)
    return opened


def _of_no_use(option: str, path: Path, reader: Reader) -> DataError:
    what = f"the option {option} is of no use for {path}"
    return DataError(f"{what}, which is {reader.description}")


def _given(option: Any) -> bool:
    return option is not None and not (isinstance(option, tuple) and not option)
