"""Mean squares of large arrays of values, in double precision, piece by piece.

Pieces stay in the cache: an array of squares as large as the values takes longer to write than to
compute.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcompiler.ir.kernels import Array

_PIECE = 1 << 16  # numbers


def mean_squares(array: Array, other: Array | None = None) -> Array:
    """Of each channel, over ``images x channels x ..``: of values, or of their differences.

    ``other`` has the same shape. Differences are taken in the values' own precision.
    """
    return _sums(array, other)[1].reshape(array.shape[1:2]) / _count(array)


def variances(array: Array) -> Array:
    """Of each channel, over images and positions."""
    total, squares = _sums(array, None, means=True)
    mean = total / _count(array)
    found: Array = np.maximum(squares / _count(array) - mean * mean, 0)
    return found.reshape(array.shape[1:2])


def _count(array: Array) -> int:
    return max(1, array.size // _channels(array))


def _channels(array: Array) -> int:
    return max(1, array.shape[1]) if array.ndim > 1 else 1


def _sums(array: Array, other: Array | None, means: bool = False) -> tuple[Array, Array]:
    """Sums of each channel and of its squares; the former are 0 unless ``means`` asks for them."""
    total, squares = np.zeros((2, _channels(array)))
    shape = len(array), _channels(array), array.size // max(1, len(array) * _channels(array))
    x = array.reshape(shape)
    y = None if other is None else other.reshape(shape)
    buffer = np.empty(max(_PIECE, shape[2]))
    for images, channels in _pieces(*shape):
        at = x[images, channels]
        piece = buffer[: at.size].reshape(at.shape)
        if y is None:
            np.copyto(piece, at)
        else:
            np.subtract(at, y[images, channels], out=piece)
        squares[channels] += np.einsum("ncp,ncp->c", piece, piece)
        if means:
            total[channels] += piece.sum(axis=(0, 2))
    return total, squares


def _pieces(images: int, channels: int, positions: int) -> Iterator[tuple[slice, slice]]:
    """Parts of an array that have at most `_PIECE` numbers, or one channel of one image."""
    some = max(1, min(channels, _PIECE // max(1, positions)))
    step = max(1, _PIECE // max(1, positions * channels))
    for image in range(0, images, step):
        for channel in range(0, channels, some):
            yield slice(image, image + step), slice(channel, min(channel + some, channels))
