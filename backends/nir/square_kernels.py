"""Convolutions as NIR's: one group, a square kernel, the same padding at both ends of an axis.

The type check of the package nir counts outputs by the first axis of a kernel, and takes the
channels of a weight for those of the input. Zeros around a kernel make up for what is missing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Synapses
from qcompiler.ir.kernels import Array

_MORE = 16  # zeros that a kernel may get along an axis


class SquareKernel(NamedTuple):
    """A weight ``O x C x kernel``, with stride, padding and dilation by axis."""

    weight: Array
    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilations: tuple[int, ...]


def square_kernel(row: Synapses, shape: tuple[int, ...]) -> SquareKernel | None:
    """The convolution over senders of this shape, or None if NIR has none like it."""
    channels = _channels(row, shape)
    if channels is None or len(shape) not in (2, 3):
        return None
    weight = _one_group(row, channels, shape[0])
    for dilations in dict.fromkeys([row.dilations, (1,) * len(row.dilations)]):
        spread = _dilated(weight, row.dilations) if dilations != row.dilations else weight
        if (found := _padded(row, spread, shape[1:], dilations)) is not None:
            return found
    return None


def _channels(row: Synapses, shape: tuple[int, ...]) -> Array | None:
    """Which channels of its senders a convolution reads, if it reads whole ones."""
    if row.order is None:
        return np.arange(shape[0]) if row.senders == shape else None
    if row.senders[1:] != shape[1:]:
        return None
    places = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    order = row.order.reshape(row.senders)
    found: Array = order.reshape(len(order), -1)[:, 0] // places[0].size
    return found if np.array_equal(places[found], order) else None


def _one_group(row: Synapses, channels: Array, count: int) -> Array:
    """The weight of all channels, with zeros where a group or the row does not read."""
    outs, ins, *kernel = row.weights.shape
    found = np.zeros((outs, count, *kernel))
    per_group = outs // row.groups
    for group in range(row.groups):
        read = channels[group * ins : (group + 1) * ins]
        rows = slice(group * per_group, (group + 1) * per_group)
        for place, channel in enumerate(read):  # one may be read twice
            found[rows, channel] += row.weights[rows, place]
    return found


def _dilated(weight: Array, dilations: tuple[int, ...]) -> Array:
    """The same with zeros in place of the dilations."""
    taps = weight.shape[2:]
    spans = ((k - 1) * d + 1 for k, d in zip(taps, dilations, strict=True))
    found = np.zeros((*weight.shape[:2], *spans))
    every: Any = (..., *(slice(None, None, d) for d in dilations))
    found[every] = weight
    return found


def _padded(
    row: Synapses, weight: Array, space: tuple[int, ...], dilations: tuple[int, ...]
) -> SquareKernel | None:
    taps, rank = weight.shape[2:], len(space)
    pads = tuple(zip(row.pads[:rank], row.pads[rank:], strict=True))
    axes = list(zip(taps, pads, space, row.strides, dilations, strict=True))
    for size in range(max(taps), max(taps) + _MORE):
        fits = [_zeros(size, *axis) for axis in axes]
        if None not in fits:
            zeros = [fit for fit in fits if fit is not None]
            padding = tuple(
                pad[0] + before * d
                for (before, _), pad, d in zip(zeros, pads, dilations, strict=True)
            )
            whole = np.pad(weight, [(0, 0), (0, 0), *zeros])
            return SquareKernel(whole, row.strides, padding, dilations)
    return None


def _zeros(
    size: int, taps: int, pads: tuple[int, int], length: int, stride: int, dilation: int
) -> tuple[int, int] | None:
    """Zeros before and behind a kernel that make its pads equal and keep the number of outputs."""
    span = (taps - 1) * dilation + 1
    wanted = (length + sum(pads) - span) // stride
    for before in range(size - taps + 1):
        padding = pads[0] + before * dilation
        if (length + 2 * padding - (size - 1) * dilation - 1) // stride == wanted:
            return before, size - taps - before
    return None
