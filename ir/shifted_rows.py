"""Convolutions of planes as products with shifted rows: windows are not copied one by one.

A plane lies as one row per channel, its lines apart by zeros, so that the place of a window is an
offset. The rows are copied once for each column of the kernel; lines of the kernel read them
further on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .ops import Sliding

_MOST = 1.3  # products by those that are needed
_LEAST = 1 << 20  # products of an image, which take as long as starting them does
_LONG = 1 << 10  # places of a line times outputs: then copies of windows cost less than products
_SUMS = 1 << 15  # computed at once: so many stay in the cache


class _Planes(NamedTuple):
    """The height and width of results, and the length of a line with the zeros behind it."""

    down: int
    right: int
    line: int

    @classmethod
    def of(cls, space: tuple[int, ...], kernel: tuple[int, ...], op: Sliding) -> _Planes:
        down, right = (
            length + op.pads[axis] + op.pads[2 + axis] - (kernel[axis] - 1) * op.dilations[axis]
            for axis, length in enumerate(space)
        )
        # the zeros behind a line are also those in front of the next
        return cls(down, right, max(space[1] + max(op.pads[1], op.pads[3]), right))


def suits(image: NDArray[Any], weight: NDArray[Any], op: Sliding) -> bool:
    """Whether a convolution without groups is faster so."""
    kernel = weight.shape[2:]
    if len(kernel) != 2 or op.strides != (1, 1) or max(kernel) == 1:
        return False
    down, right, line = _Planes.of(image.shape[2:], kernel, op)
    short = line <= _MOST * right and len(weight) * right <= _LONG
    return short and weight.size * down * right >= _LEAST


def convolve_rows(image: NDArray[Any], weight: NDArray[Any], op: Sliding) -> NDArray[Any]:
    """Convolution of ``batch x channel x height x width`` without groups, with strides of 1."""
    high, wide = weight.shape[2:]
    down, right, line = _Planes.of(image.shape[2:], (high, wide), op)
    kind = np.result_type(image, weight)
    rows, copies = _rows(image, wide, op, line, kind)
    matrices = np.ascontiguousarray(weight.transpose(2, 0, 3, 1), kind)
    matrices = matrices.reshape(high, len(weight), len(rows))
    band = min(down, max(1, _SUMS // (len(weight) * line)))
    total, part = np.empty((2, len(weight), band * line), kind)
    bands = []
    for begin in range(0, down, band):
        size = min(band, down - begin) * line
        starts = ((begin + at * op.dilations[0]) * line for at in range(high))
        read = [rows[:, start : start + size] for start in starts]
        sums = total[:, :size]
        kept = sums.reshape(len(weight), -1, line)[:, :, :right]
        bands.append((slice(begin, begin + band), read, sums, part[:, :size], kept))
    result = np.empty((len(image), len(weight), down, right), kind)
    for one, found in zip(image, result, strict=True):
        for copy in copies:
            copy[...] = one
        for lines, read, sums, more, kept in bands:
            np.matmul(matrices[0], read[0], out=sums)
            for matrix, others in zip(matrices[1:], read[1:], strict=True):
                np.matmul(matrix, others, out=more)
                np.add(sums, more, out=sums)
            found[:, lines] = kept
    return result


def _rows(
    image: NDArray[Any], wide: int, op: Sliding, line: int, kind: Any
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Zeros as ``(columns of the kernel times channels) x places``; where they hold an image."""
    channels, height, width = image.shape[1:]
    top, left, bottom, _ = op.pads
    begin, aside = top * line + left, op.dilations[1]
    front = max(0, (wide - 1) * aside - begin)
    whole = np.zeros((wide, channels, front + (top + height + bottom + 1) * line + left), kind)
    step = whole.itemsize
    shape, strides = (channels, height, width), (whole.strides[1], line * step, step)
    copies = [
        as_strided(whole[at, :, front + begin - at * aside :], shape, strides) for at in range(wide)
    ]
    return whole.reshape(wide * channels, -1)[:, front:], copies
