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
        for name in ("label_column", "split"):
            if not isinstance(found := getattr(self, name), str | None):
                raise DataError(f"{name} must be a string, not {found!r:.60}")
        if self.frames is not None and not (_is_whole(self.frames) and self.frames > 0):
            raise DataError(f"frames must be a number from 1 on, not {self.frames!r:.60}")
        if self.skip_bad not in (False, True):
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
