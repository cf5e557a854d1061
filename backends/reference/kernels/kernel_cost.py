"""What kernels cost, to choose between float32 and 8 bits: see benchmarks/kernels.py.

Times are in ns of one core for one output position of a frame, all channels, as one processor with
AVX-512 and VNNI takes them. Only which of two is less matters; both kinds are exact anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from qcompiler.ir.snn import Convolve, Relay

from .byte_kernel import ByteKernel
from .sum_parts import SumPart

_BLOCK = 16  # channels of outputs that kernels fill up
_REAL_PRODUCT, _REAL_PASS = 1 / 50, 0.25
_BYTE_PRODUCT, _BYTE_PASS, _BYTE_ROW = 1 / 200, 0.4, 6.0
_COPY, _COPIED_BYTE = 4.0, 0.05
_DEPTHWISE_PRODUCT = 1 / 12
_POOLED, _POOLED_ALONE, _POOLED_AT_ONCE = 0.4, 4.0, 8  # a channel; those beyond full groups
# kernels that read channels by four, and write as many, take no copies of what they read
_DIRECT, _DIRECT_PASS, _DIRECT_OUTPUT, _DIRECT_TAP = 4, 0.15, 4.0, 0.5


def real_cost(parts: Sequence[SumPart], channels: int, scaled: bool) -> float:
    """The cost of a layer in float32: products, and passes over its outputs."""
    passes = (4 if scaled else 6) + 3 * (len(parts) - 1)
    return passes * channels * _REAL_PASS + sum(_real_products(part) for part in parts)


def _real_products(part: SumPart) -> float:
    if isinstance(part.op, Relay):
        return 0.0
    taps = part.weight[0].size
    if isinstance(part.op, Convolve) and part.weight.shape[1] == 1 and part.op.groups > 1:
        return float(len(part.weight) * taps * _DEPTHWISE_PRODUCT)
    return float(_filled(len(part.weight)) * taps * _REAL_PRODUCT)


def _filled(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK


class Block(NamedTuple):
    """Neighbouring outputs that a kernel computes at once, as channels.

    It reads ``grouped`` columns of its sources as channels.
    """

    rows: int = 1
    columns: int = 1
    grouped: int = 1

    @property
    def size(self) -> int:
        """The number of outputs."""
        return self.rows * self.columns

    def taps(self, kernel: ByteKernel) -> tuple[int, ...]:
        """The taps on each axis of a kernel for all outputs; zeros fill groups up."""
        op, (*first, columns) = kernel.op, kernel.shape[2:]
        if not first:
            return (columns,)
        first[0] += (self.rows - 1) * op.strides[0]
        columns += (self.columns - 1) * op.strides[-1] + self.before(kernel)
        return (*first, -(-columns // self.grouped))

    def before(self, kernel: ByteKernel) -> int:
        """Columns of zeros in front of a kernel, which begins with a group."""
        axes = len(kernel.op.strides)
        return -kernel.op.pads[axes - 1] % self.grouped


def byte_cost(kernel: ByteKernel, block: Block | None = None) -> float:
    """The cost of a layer in 8 bits, with the outputs of a block at once."""
    op, (outputs, inputs, *taps) = kernel.op, kernel.shape
    if op.groups > 1:
        return outputs * (_BYTE_PASS + prod(taps) * _DEPTHWISE_PRODUCT)
    block = block or Block()
    copied, size = 0.0, block.size
    if len(kernel.sources) > 1:
        moved = sum(len(source.places) > 0 for source in kernel.sources)
        copied = _COPY * (len(kernel.sources) + moved) + _COPIED_BYTE * 2 * inputs
    taps, channels = [*block.taps(kernel)], inputs * block.grouped
    products = _filled(outputs * size) * channels * prod(taps) * _BYTE_PRODUCT / size
    by_four = channels % _DIRECT == outputs * size % _DIRECT == 0
    if by_four and outputs * size >= _BLOCK and not kernel.flat:
        places = (_DIRECT_OUTPUT + prod(taps) * _DIRECT_TAP) / size
        return copied + outputs * _DIRECT_PASS + places + products
    each = taps[-1] if len(taps) > 1 and max(op.dilations) > 1 else 1
    rows = prod(taps[:-1]) * each * _BYTE_ROW / size if prod(taps) > 1 else 0.0
    return copied + outputs * _BYTE_PASS + rows + products


def copy_cost(pieces: int, channels: int) -> float:
    """The cost of cutting 8-bit levels into pieces, and of joining them again."""
    return 2 * (_COPY * pieces + _COPIED_BYTE * channels)


def pool_cost(channels: int) -> float:
    """The cost of a maximum of few places of 8-bit levels, channels last."""
    alone = channels % _POOLED_AT_ONCE
    return (channels - alone) * _POOLED + alone * _POOLED_ALONE
