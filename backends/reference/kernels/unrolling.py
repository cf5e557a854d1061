"""Kernels without zeros: sources are shifted in place of taps along some axes.

Beside a kernel of several taps, a source that is read through one tap takes zeros for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Convolve

from .blocks import cheapest_block
from .byte_kernel import ByteKernel
from .filled_channels import filled_up
from .kernel_cost import Block, byte_cost
from .sources import Source


def cheapest(kernel: ByteKernel, space: tuple[int, ...]) -> tuple[ByteKernel, Block]:
    """The way to compute a kernel, and the outputs at once; ``space`` is the outputs'."""
    if kernel.flat or not space:
        return kernel, Block()
    found = []
    for axes in (0, 1, 2) if len(space) == 2 and len(kernel.sources) > 1 else (0,):
        one = _unrolled(kernel, axes, space) if axes else kernel
        for each in (one, *(filled_up(one, number) for number in (2, 4))):
            if each is not None:
                found.append((each, cheapest_block(each, space[-1])))
    return min(found, key=lambda way: byte_cost(*way))


def _unrolled(kernel: ByteKernel, axes: int, space: tuple[int, ...]) -> ByteKernel:
    """The kernel with a shifted source for each place on the first axes where it has weights."""
    sources: list[Source] = []
    weights: list[Array] = []
    empty = not any(weight.any() for weight in kernel.weights)  # which keeps its first place
    for source, weight in zip(kernel.sources, kernel.weights, strict=True):
        for places in product(*(range(n) for n in weight.shape[2 : 2 + axes])):
            at: Any = (slice(None), slice(None), *places)
            taps: Array = weight[at]
            if taps.any() or (empty and not any(places)):
                offset = tuple(_offsets(kernel.op, places))
                sources.append(replace(source, offset=offset, places=space[:axes]))
                weights.append(taps.reshape(*taps.shape[:2], *(1,) * axes, *taps.shape[2:]))
    return replace(
        kernel, op=_rest(kernel.op, axes), weights=tuple(weights), sources=tuple(sources)
    )


def _offsets(op: Convolve, places: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Where on each axis the first output reads, and the stride."""
    for axis, place in enumerate(places):
        yield place * op.dilations[axis] - op.pads[axis], op.strides[axis]


def _rest(op: Convolve, axes: int) -> Convolve:
    """What is left of a convolution whose first axes are unrolled."""
    rank, ones, zeros = len(op.strides), (1,) * axes, (0,) * axes
    pads = (*zeros, *op.pads[axes:rank], *zeros, *op.pads[rank + axes :])
    strides, dilations = (*ones, *op.strides[axes:]), (*ones, *op.dilations[axes:])
    return replace(op, strides=strides, pads=pads, dilations=dilations)
