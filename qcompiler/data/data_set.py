"""A data set: a path, and how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import DataError

from .frames.source import Options


@dataclass(frozen=True)
class DataSet:
    """A path and the options to read it with, for ``compile(calibration=)`` and `open_stream`.

    - ``labels``: a file or an array of labels, in place of those that the path holds.
    - ``label_column``: the column of a table that holds the labels.
    - ``split``: the part of a set that has several, such as test.
    - ``resize``: images get this length of their shorter side, or this height and width; bilinear.
    - ``crop``: the middle of each image, a square or height and width.
    - ``skip_bad``: leave frames out that cannot be read.
    - ``frames``: read only this many, evenly spread.
    """

    path: str | Path
    labels: Any = None
    label_column: str | None = None
    split: str | None = None
    resize: int | Sequence[int] | None = None
    crop: int | Sequence[int] | None = None
    skip_bad: bool = False
    frames: int | None = None

    @property
    def options(self) -> Options:
        """The options as readers take them. Raises DataError for what is no such option."""
        if not isinstance(self.path, str | Path):
            raise DataError(f"the path of a data set is a path, not {self.path!r:.60}")
        if self.path == "":
            raise DataError("the path of the data is empty")
        for name in ("label_column", "split"):
            if not isinstance(found := getattr(self, name), str | None):
                raise DataError(f"{name} must be a string, not {found!r:.60}")
        if self.frames is not None:
            whole_number(self.frames, "frames")
        if not isinstance(self.skip_bad, bool | np.bool_ | int) or self.skip_bad not in (0, 1):
            raise DataError(f"skip_bad must be true or false, not {self.skip_bad!r:.60}")
        crop = _lengths(self.crop, "crop")
        return Options(
            self.labels,
            self.label_column,
            self.split,
            _lengths(self.resize, "resize"),
            crop * 2 if len(crop) == 1 else crop,
            bool(self.skip_bad),
        )


def whole_number(given: Any, name: str) -> int:
    """A number from 1 on; DataError for anything else."""
    if not (_is_whole(given) and given > 0):
        raise DataError(f"{name} must be a number from 1 on, not {given!r:.60}")
    return int(given)


def checked_places(given: Any, length: int) -> Sequence[int]:
    """Places of frames of so many, in ascending order; DataError for anything else."""
    try:
        found = np.asarray(given)
    except ValueError:  # lists of unlike lengths
        found = np.asarray(None)
    whole = found.ndim == 1 and (not found.size or found.dtype.kind in "iu")
    if whole and not found.size:
        return ()
    if not whole or found[0] < 0 or found[-1] >= length or not (found[1:] > found[:-1]).all():
        what = f"places must be ascending numbers of frames, from 0 to {length - 1}"
        raise DataError(f"{what}, not {given!r:.60}")
    return given if isinstance(given, range) else found.tolist()


_LONGEST = 1 << 14  # pixels of a side


def _lengths(given: Any, name: str) -> tuple[int, ...]:
    if given is None:
        return ()
    found = tuple(given) if isinstance(given, list | tuple | np.ndarray) else (given,)
    if len(found) not in (1, 2) or not all(_is_whole(n) and 0 < n <= _LONGEST for n in found):
        raise DataError(f"{name} must be one or two lengths in pixels, not {given!r:.60}")
    return tuple(map(int, found))


def _is_whole(given: Any) -> bool:
    return isinstance(given, int | np.integer) and not isinstance(given, bool)
