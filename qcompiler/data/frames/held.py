"""Frames in memory: one array per input, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from qcompiler.ir import DataError, Diagnostic
from qcompiler.passes.calibration.data import sample

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = Sequence[tuple[str, tuple[int, ...]]]


def checked_inputs(given: Any) -> Inputs:
    """Pairs of a name and a shape, at least one; DataError for anything else."""
    pairs = given if isinstance(given, list | tuple) else ()
    if not pairs or not all(map(_is_input, pairs)):
        what = 'inputs must be pairs of a name and a shape, as in [("image", (1, 8, 8))]'
        help_ = (
            "[(value.name, value.type.shape) for value in program.inputs] are those of a program"
        )
        raise DataError(Diagnostic(f"{what}, not {given!r:.60}", help=help_))
    return tuple((name, tuple(shape)) for name, shape in pairs)


def _is_input(pair: Any) -> bool:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return False
    name, shape = pair
    axes = shape if isinstance(shape, list | tuple) else ("none",)
    return isinstance(name, str) and all(isinstance(n, int) and n > 0 for n in axes)


class Frames(Protocol):
    """Frames of which some can be had: `Data`, or a `Stream` that reads them again."""

    @property
    def labels(self) -> Array | None:
        """One per frame, if they are known."""

    def __len__(self) -> int: ...

    def at(self, place: int) -> Data:
        """One frame."""

    def spread(self, count: int) -> Data:
        """This many frames, evenly spread."""


@dataclass(frozen=True)
class Data:
    """One array per input, ``frames x shape``, and labels if there are any.

    ``names`` are those of the inputs, if known: a model may have others, which nothing reads.
    ``skipped`` names the bad frames that were left out; ``places`` are those of the others in their
    source, if known. ``told`` are sentences on how the data were read.
    """

    arrays: tuple[Array, ...]
    labels: Array | None = None
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    places: Array | None = None
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arrays[0])

    def at(self, place: int) -> Data:
        """The frame at this place alone."""
        labels = None if self.labels is None else self.labels[place : place + 1]
        return Data(tuple(array[place : place + 1] for array in self.arrays), labels, self.names)

    def head(self, count: int | None) -> Data:
        """The first frames only."""
        labels = None if self.labels is None else self.labels[:count]
        return Data(tuple(array[:count] for array in self.arrays), labels, self.names)

    def spread(self, count: int) -> Data:
        """This many frames, evenly spread: files are often sorted by class."""
        labels = None if self.labels is None else sample((self.labels,), count)[0]
        return Data(sample(self.arrays, count), labels, self.names)
