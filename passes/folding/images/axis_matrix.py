"""What is done to every line of an image along an axis: a matrix by its entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

_NOTHING = 1e-6  # what single precision leaves of an exact zero
_MOST_LINES = 8  # of pixels along an axis that borders are put right for
_MOST_WEIGHTS = 1 << 26  # of all taps at all places: others are no interpolation


class Way(NamedTuple):
    """What one axis of the small image, or one line of it, gives to phases: ``tap x phase x d``."""

    weights: Array
    pads: tuple[int, int]
    stride: int = 1
    line: int | None = None


@dataclass(frozen=True)
class AxisMatrix:
    """A matrix, ``out x length``: at each row and column, in order, a value other than 0."""

    shape: tuple[int, int]
    rows: Array
    columns: Array
    values: Array

    @staticmethod
    def of(shape: tuple[int, int], rows: Array, columns: Array, values: Array) -> AxisMatrix:
        """The matrix to which each of these values is added."""
        places, index = np.unique(rows * shape[1] + columns, return_inverse=True)
        total = np.zeros(len(places))
        np.add.at(total, index, values)
        some = total != 0
        at, column = np.divmod(places[some], shape[1])
        return AxisMatrix(shape, at, column, total[some])

    def times(self, image: Array, axis: int) -> Array:
        """The product with every line of an image along an axis."""
        lines = np.moveaxis(image, axis, 0)
        found = np.zeros((self.shape[0], *lines.shape[1:]))
        nth = np.arange(len(self.rows)) - np.searchsorted(self.rows, self.rows)
        for n in range(nth.max(initial=-1) + 1):
            at = nth == n
            terms = lines[self.columns[at]]
            found[self.rows[at]] += self.values[at].reshape(-1, *(1,) * (lines.ndim - 1)) * terms
        return np.moveaxis(found, 0, axis)

    def ways(self, taps: int, pad: int, phases: int) -> list[Way] | None:
        """A kernel that is right inside of the image, and lines that put its borders right.

        None if there is none, or if too many lines were wrong.
        """
        if (found := self._by_distance(taps, pad, phases)) is None:
            return None
        whole, first = found
        length = self.shape[1]
        used = np.flatnonzero((np.abs(whole[:, length // 2]) > _NOTHING).any(axis=(0, 1))) + first
        if not used.size:
            return None
        nearest, farthest = min(0, int(used.min())), max(0, int(used.max()))
        kernel = whole[:, length // 2, :, nearest - first : farthest - first + 1].copy()
        for distance in range(nearest, farthest + 1):
            inside = slice(max(0, -distance), length - max(0, distance))
            whole[:, inside, :, distance - first] -= kernel[:, None, :, distance - nearest]
        wrong = np.argwhere((np.abs(whole) > _NOTHING).any(axis=(0, 2)))
        if len(wrong) > _MOST_LINES:
            return None
        borders = [
            Way(whole[:, at, :, [d]].transpose(1, 2, 0), (at, length - 1 - at), 1, at + d + first)
            for at, d in wrong.tolist()
        ]
        return [Way(kernel, (-nearest, farthest)), *borders]

    def _by_distance(self, taps: int, pad: int, phases: int) -> tuple[Array, int] | None:
        """What is taken of each distance, ``tap x pixel x phase x d``, and the first distance.

        None if there are far too many.
        """
        out, length = self.shape
        tap = np.arange(taps)[:, None]
        rows = self.rows - tap + pad
        at, phase = np.divmod(rows, phases)
        inside = (rows >= 0) & (rows < out)
        distance = np.where(inside, self.columns - at, 0)
        first, last = int(distance.min(initial=0)), int(distance.max(initial=0))
        if taps * out * (last - first + 1) > _MOST_WEIGHTS:
            return None
        whole = np.zeros((taps, length, phases, last - first + 1))
        tap, values = (np.broadcast_to(array, rows.shape) for array in (tap, self.values))
        places = (array[inside] for array in (tap, at, phase, distance - first))
        whole[tuple(places)] = values[inside]
        return whole, first
