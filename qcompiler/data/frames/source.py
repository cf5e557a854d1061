"""The interface of readers: a `Reader` opens a path as a `Source`, which gives frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import DataError, PipelineError
from qcompiler.ir.diagnostics import module_of

from .arrange import check_lengths, check_numbers
from .finite import keep_finite
from .held import Array, Data, Inputs


@dataclass(frozen=True)
class Options:
    """How to read a data set, where its reader leaves a choice.

    ``resize`` is the length of the shorter side, or height and width; ``crop`` is height and width
    of the part in the middle. ``labels`` is a file or an array, ``label_column`` a column of a
    table, ``split`` a part of a set that has several.
    """

    labels: Any = None
    label_column: str | None = None
    split: str | None = None
    resize: tuple[int, ...] = ()
    crop: tuple[int, ...] = ()
    skip_bad: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a network takes: name and shape of each input, its layout, and the user's options."""

    inputs: Inputs
    layout: str | None = None
    options: Options = field(default_factory=Options)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(name for name, _ in self.inputs)

    def only(self, path: Path) -> str:
        """The name of the only input. DataError if there are several, as a path has no names."""
        if len(self.inputs) != 1:
            names = ", ".join(self.names)
            raise DataError(f"{path} holds one array per frame, but the inputs are {names}")
        return self.names[0]


class Source(ABC):
    """The frames of a data set in a fixed order, read batch by batch, as often as one likes.

    ``skipped`` holds a name for each frame that was left out as bad, of those read so far.
    ``told`` are sentences on how it is read, where that may not be what one expects.
    ``labels`` are those of all frames, if they are known before frames are read. ``takes_labels``
    tells that they may be set from outside: those that the user gives, where the reader itself does
    not read them.
    """

    labels: Array | None = None
    takes_labels = False
    told: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.skipped: set[str] = set()

    @property
    def known_labels(self) -> Array | None:
        """The labels that occur, each at least once, if they are known before frames are read."""
        return self.labels

    @abstractmethod
    def __len__(self) -> int:
        """The number of frames, bad ones included."""

    @abstractmethod
    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        """Read frames, at most ``size`` at a time: those at ``places`` (ascending), or all.

        The arrays are one per input; axes need not be in the network's order. Raises DataError
        for a bad frame, or leaves it out with ``skip_bad``. One reader in several processes, each
        with places of its own, reads every frame once.
        """


class Indexed(Source):
    """A source that can read any frame by its place."""

    takes_labels = True

    @abstractmethod
    def read(self, places: Array) -> tuple[tuple[Array, ...], Array]:
        """The frames at some places, one array per input, and the places without bad frames.

        Places ascend. Each array has a row for each place that is returned.
        """

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        chosen = range(len(self)) if places is None else places
        for begin in range(0, len(chosen), size):
            arrays, kept = self._read(np.asarray(chosen[begin : begin + size], np.int64))
            if len(kept):
                labels = None if self.labels is None else self.labels[kept]
                yield Data(arrays, labels, places=kept)

    def _read(self, asked: Array) -> tuple[tuple[Array, ...], Array]:
        """What `read` returns for the places that are asked for. PipelineError if it cannot be."""
        arrays, found = self.read(asked)
        if not isinstance(arrays, tuple | list):
            kind = type(arrays).__name__
            raise PipelineError(f"{name_of(self)} reads no array for each input, but one {kind}")
        kept = np.asarray(found)
        check_rows(self, arrays, kept)
        if found is not asked and not _are_some(kept, asked):
            what = "places that are not some of those asked for, in order"
            raise PipelineError(f"{name_of(self)} reads {what}")
        return tuple(arrays), kept


def name_of(source: Source) -> str:
    """A source as messages name it."""
    return f"the reader {type(source).__name__} of {module_of(source)}"


def check_rows(source: Source, arrays: Sequence[Array], places: Array | None) -> None:
    """PipelineError unless there is a row for each of the places, if these are known."""
    for array in arrays:
        if places is not None and len(array) != len(places):
            what = f"reads {len(array):,} frames for {len(places):,} places"
            raise PipelineError(f"{name_of(source)} {what}: give a row for each")


def _are_some(places: Array, asked: Array) -> bool:
    return bool(np.isin(places, asked).all() and (np.diff(places) > 0).all())


class InMemory(Indexed):
    """Arrays in memory, or mapped to it, one per input name. DataError unless all are as long.

    Frames with numbers that are not finite are bad; ``path`` is the file that holds them.
    """

    def __init__(
        self,
        arrays: tuple[Array, ...],
        names: Sequence[str],
        labels: Array | None = None,
        path: Path | None = None,
        skip_bad: bool = False,
    ) -> None:
        super().__init__()
        for array, name in zip(arrays, names, strict=True):
            check_numbers(array, name)
        check_lengths(arrays)
        self.arrays, self.labels, self.path = arrays, labels, path
        self._names, self._skip = names, skip_bad

    def __len__(self) -> int:
        return len(self.arrays[0])

    def read(self, places: Array) -> tuple[tuple[Array, ...], Array]:
        chosen: slice | Array = places
        if len(places) and places[-1] - places[0] == len(places) - 1:
            chosen = slice(int(places[0]), int(places[-1]) + 1)  # no copy
        found = tuple(array[chosen] for array in self.arrays)
        where = None if self._skip else self.path or "the data"
        return keep_finite(found, self._names, places, where, self.skipped)


@dataclass(frozen=True)
class Reader:
    """A kind of files: its name, what it is, the options it takes, and how to open one.

    ``claims`` tells from a path, which may be a folder or missing, whether it is of this kind;
    it looks at names, and into a folder or a file's first bytes at most. ``options`` are names of
    fields of `Options`; labels need not be one where the source ``takes_labels``. ``open`` raises
    DataError for a file that cannot be read.
    """

    name: str
    description: str
    claims: Callable[[Path], bool]
    open: Callable[[Path, Wanted], Source]
    options: tuple[str, ...] = ()
