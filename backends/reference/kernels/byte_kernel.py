"""Sums of layers as one convolution of 8-bit weights.

The sources of a layer are stacked along channels. Weights that need more than 8 bits are spread
over several copies of their source, or over a copy and some of a multiple of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay

from .byte_shares import shares_of
from .sources import Source
from .sum_parts import SumPart

_MOST_LEVELS = 255
_MOST_PRODUCTS = 1 << 16  # of one sum, which stays far below 31 bits


@dataclass(frozen=True)
class ByteKernel:
    """Weights ``O x C x kernel``, int8, for each source; they are stacked along channels.

    Sources that are ``flat`` have one channel for each neuron.
    """

    op: Convolve
    weights: tuple[Array, ...]
    sources: tuple[Source, ...]
    flat: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all weights, stacked."""
        outputs, _, *taps = self.weights[0].shape
        return (outputs, sum(weight.shape[1] for weight in self.weights), *taps)

    @cached_property
    def weight(self) -> Array:
        """All weights, stacked."""
        return np.concatenate(self.weights, 1)


def byte_kernel(parts: Sequence[SumPart], divisor: Array) -> ByteKernel | None:
    """The kernel of the parts, divided by an integer for each channel; None if there is none."""
    if any(part.source.top > _MOST_LEVELS for part in parts):
        return None
    if len({part.source.shape[1:] for part in parts}) > 1:
        parts = [_at_strides(part) for part in parts]
    frame = _frame(parts)
    if frame is None:
        return None
    op, kernel = frame
    weights: list[Array] = []
    sources: list[Source] = []
    for part in parts:
        weight = _placed(part, op, kernel)
        if weight is None:
            return None
        if np.any(divisor != 1):  # else without a copy: stacked weights are large
            over = divisor.reshape(-1, *(1,) * (weight.ndim - 1)).astype(weight.dtype)
            weight = weight // over
        for share, factor, channels in shares_of(weight, part.source.top):
            weights.append(share.astype(np.int8))
            sources.append(Source(part.source, factor, channels))
    products = sum(weight[0].size for weight in weights)
    if (op.groups > 1 and len(sources) > 1) or products > _MOST_PRODUCTS:
        return None
    flat = any(isinstance(part.op, Connect) for part in parts)
    return ByteKernel(op, tuple(weights), tuple(sources), flat)


def _at_strides(part: SumPart) -> SumPart:
    """A kernel of one tap, which skips places, as one that has only the others as its source."""
    op = part.op
    if not isinstance(op, Convolve) or max(op.strides) == 1:
        return part
    if max(part.weight.shape[2:]) > 1 or max(op.pads) > 0:
        return part
    ones = (1,) * len(op.strides)
    return SumPart(replace(op, strides=ones), part.weight, part.source.every(op.strides))


def _frame(parts: Sequence[SumPart]) -> tuple[Convolve, tuple[int, ...]] | None:
    """A convolution, and the size of its kernel, which can stand for all parts."""
    shapes = {part.source.shape[1:] for part in parts}
    kernels = [part for part in parts if isinstance(part.op, Convolve)]
    if any(isinstance(part.op, Connect) for part in parts):
        return None if kernels else (_point(2), (1, 1))
    rank = len(min(shapes))
    if len(shapes) > 1 or not 1 <= rank <= 3:
        return None
    if not kernels:
        groups = parts[0].source.shape[0] if len(parts) == 1 else 1
        return replace(_point(rank), groups=groups), (1,) * rank
    largest = max(kernels, key=lambda part: prod(part.weight.shape[2:]))
    assert isinstance(largest.op, Convolve)
    each = len(parts) == 1 and largest.weight.shape[1] == 1
    return replace(largest.op, groups=largest.op.groups if each else 1), largest.weight.shape[2:]


def _point(rank: int) -> Convolve:
    return Convolve((1,) * rank, (0,) * 2 * rank, (1,) * rank)


def _placed(part: SumPart, op: Convolve, kernel: tuple[int, ...]) -> Array | None:
    """The weight of a part, placed in the common kernel; None if it does not fit."""
    rank, weight = len(kernel), part.weight
    match part.op:
        case Connect():
            return weight.reshape(*weight.shape, 1, 1)
        case Relay():
            if weight.size > 1 and weight.shape != (
                weight.size,
                *(1,) * (len(part.source.shape) - 1),
            ):
                return None
            each = np.broadcast_to(weight.reshape(-1), part.source.shape[:1])
            if op.groups > 1:
                return each.reshape(-1, 1, *kernel)
            weight, own = np.diag(each).reshape(len(each), -1, *(1,) * rank), _point(rank)
        case Convolve() as own:
            if own.groups > op.groups:
                weight = _without_groups(weight, own.groups)
    return _within(weight, own, op, kernel)


def _without_groups(weight: Array, groups: int) -> Array:
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    full = np.zeros((weight.shape[0], inputs * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        full[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return full


def _within(weight: Array, own: Convolve, op: Convolve, kernel: tuple[int, ...]) -> Array | None:
    """A kernel inside a larger one of the same strides, with zeros around it."""
    rank, size = len(kernel), weight.shape[2:]
    if size == kernel and replace(own, groups=op.groups) == op:
        return weight
    before = [op.pads[axis] - own.pads[axis] for axis in range(rank)]
    fits = all(at >= 0 and at + n <= k for at, n, k in zip(before, size, kernel, strict=True))
    if own.strides != op.strides or not fits or max(own.dilations + op.dilations) > 1:
        return None
    found = np.zeros((*weight.shape[:2], *kernel), weight.dtype)
    taps = (slice(at, at + n) for at, n in zip(before, size, strict=True))
    inside = (slice(None), slice(None), *taps)
    found[inside] = weight
    return found
