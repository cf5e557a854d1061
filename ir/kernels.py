"""Sliding-window arithmetic in numpy, for any number of spatial axes.

Images are ``batch x channel x space``. Results in float64 are exact for integers below 2**53,
whatever the order of summation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .ops import Sliding
from .shifted_rows import convolve_rows, suits

Array: TypeAlias = NDArray[Any]

_CHUNK = 1 << 18  # elements of unrolled windows held at once; so many stay in the cache
_BLOCK = 1 << 16  # integers summed at once
_TESTED = 1 << 20  # numbers tested at once, so that data may fill the memory


def is_finite_float32(array: Array) -> bool:
    """Whether an array holds integers, booleans, or floats that are finite as float32."""
    if array.dtype.kind != "f":
        return array.dtype.kind in "uib"
    parts = (array,) if array.size <= _TESTED else _rows(array, _TESTED)
    with np.errstate(over="ignore"):
        return all(np.isfinite(part.astype(np.float32, copy=False)).all() for part in parts)


def _rows(array: Array, elements: int) -> Iterator[Array]:
    """Views of some rows each, which have about so many elements."""
    step = max(1, elements // max(1, array[0].size))
    return (array[begin : begin + step] for begin in range(0, len(array), step))


def largest_magnitude(integers: Array) -> int:
    """The largest magnitude of integers; 0 if there are none. `np.abs` leaves -128 of 8 bits."""
    return max(int(integers.max(initial=0)), -int(integers.min(initial=0)))


def expand_to_rank(array: Array, rank: int) -> Array:
    """Prepend axes of size 1 up to ``rank`` axes; the array broadcasts as before."""
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def windows(image: Array, op: Sliding, kernel: tuple[int, ...], fill: float) -> Array:
    """View of every window: ``batch x channel x out x kernel``, padded with ``fill``."""
    rank = len(kernel)
    pads = tuple(zip(op.pads[:rank], op.pads[rank:], strict=True))
    if any(map(any, pads)):
        image = np.pad(image, ((0, 0), (0, 0), *pads), constant_values=fill)
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, op.dilations, strict=True))
    axes: Any = tuple(range(2, 2 + rank))  # numpy 1's types know only one axis
    view = sliding_window_view(image, spans, axis=axes)
    steps = (slice(None, None, s) for s in (1, 1, *op.strides, *op.dilations))
    found: Array = view[tuple(steps)]
    return found


def convolve(image: Array, weight: Array, op: Sliding, groups: int = 1) -> Array:
    """Convolution (cross-correlation, as in ONNX) with zero padding."""
    kernel = weight.shape[2:]
    kind = np.result_type(image, weight)
    if groups == 1 and kind == np.float64 and suits(image, weight, op):
        return convolve_rows(image, weight, op)
    unrolled = windows(image, op, kernel, 0)
    batch, channels, *rest = unrolled.shape
    rank, space = len(kernel), tuple(rest[: len(kernel)])
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    result = np.empty((batch, weight.shape[0], *space), kind)
    step = max(1, _CHUNK // max(1, channels * int(np.prod(rest))))
    # Places come last, so that runs of neighbours are copied at once.
    unrolled = unrolled.transpose(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    for begin in range(0, batch, step):
        part = unrolled[begin : begin + step]
        columns = part.reshape(len(part), groups, matrix.shape[2], -1)
        out = result[begin : begin + step].reshape(len(part), *matrix.shape[:2], -1)
        np.matmul(matrix, columns, out=out)
    return result


def pool_max(image: Array, op: Sliding, kernel: tuple[int, ...], lowest: float) -> Array:
    """Maximum of each window; padding counts as ``lowest``."""
    views = windows(image, op, kernel, lowest)
    at: tuple[Any, ...] = (...,)
    places = (views[at + place] for place in np.ndindex(*kernel))
    found: Array = next(places).copy()
    for other in places:  # one by one: a reduction over short axes is slow
        np.maximum(found, other, out=found)
    return found


def pool_sum(image: Array, op: Sliding, kernel: tuple[int, ...]) -> Array:
    """Sum of each window."""
    found: Array = windows(image, op, kernel, 0).sum(axis=_kernel_axes(kernel))
    return found


def _kernel_axes(kernel: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(-len(kernel), 0))


def reach(
    weight: Array, space: tuple[int, ...], op: Sliding, per_channel: Array | None = None
) -> Array:
    """The convolution of a constant image, ``O x out``: padded borders sum fewer weights.

    ``per_channel`` is the constant of each input channel (default 1), laid out as
    ``O x C/groups``. Where nothing is padded the answer is the same everywhere and comes as
    ``O x 1 x ..``. Costs one channel's convolution, not all channels'.
    """
    kernel = weight.shape[2:]
    if per_channel is None:
        return spread_sums(sum_channels(weight), space, op)
    grown = per_channel.reshape(*per_channel.shape, *(1 for _ in kernel))
    summed = (weight * grown).sum(axis=1, dtype=np.float64, keepdims=True)
    return spread_sums(summed, space, op)


def spread_sums(summed: Array, space: tuple[int, ...], op: Sliding) -> Array:
    """`reach` from the sums of the weights over their input channels, ``O x 1 x kernel``."""
    kernel = summed.shape[2:]
    if not any(op.pads):
        total: Array = summed.sum(axis=tuple(range(1, summed.ndim)))
        return total.reshape(-1, *(1 for _ in kernel))
    result: Array = summed[:, 0]
    for axis, sizes in enumerate(zip(space, kernel, strict=True)):
        pads = op.pads[axis], op.pads[axis + len(op.pads) // 2]
        inside = _inside(*sizes, pads, op.dilations[axis], op.strides[axis])
        result = np.tensordot(result, inside, ((1,), (1,)))
    return result


@lru_cache
def _inside(length: int, kernel: int, pads: tuple[int, int], dilation: int, stride: int) -> Array:
    """Whether each weight of a kernel meets the image, not its padding: ``out x kernel``."""
    before, after = pads
    at = np.arange(kernel) * dilation
    begin = np.arange(0, length + before + after - at[-1], stride) - before
    place = begin[:, None] + at
    found: Array = ((place >= 0) & (place < length)).astype(np.float64)
    return found


def sum_channels(weight: Array) -> Array:
    """Sum over axis 1, which is kept; integers may be summed in any order, so in a fast one."""
    if weight.dtype.kind == "f":
        result: Array = weight.sum(axis=1, dtype=np.float64, keepdims=True)
        return result
    ones = np.ones((1, weight.shape[1]))
    flat = weight.reshape(*weight.shape[:2], -1)
    result = np.concatenate([ones @ part.astype(np.float64) for part in _rows(flat, _BLOCK)])
    return result.reshape(len(weight), 1, *weight.shape[2:])
