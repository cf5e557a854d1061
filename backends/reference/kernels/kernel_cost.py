"""What kernels cost, to choose between float32 and 8 bits: see benchmarks/kernels.py.

Times are in ns of one core for one output position of a frame, all channels, as one processor with
AVX-512 and VNNI takes them. Only which of two is less matters; both kinds are exact anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from qcompiler.ir.snn import Convolve, Relay

from .byte_kernel import ByteKernel
from .sum_parts import SumPart

_BLOCK = 16  # channels of outputs that kernels fill up
_REAL_PRODUCT, _REAL_PASS = 1 / 50, 0.25
_BYTE_PRODUCT, _BYTE_PASS, _BYTE_ROW = 1 / 200, 0.4, 6.0
_COPY, _COPIED_BYTE = 4.0, 0.05
_DEPTHWISE_PRODUCT = 1 / 12
_MOST_PACKED = 16


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


def byte_cost(kernel: ByteKernel, packed: int = 1, rows: int = 1) -> float:
    """The cost of a layer in 8 bits, with ``packed`` outputs of so many rows at once."""
    op, (outputs, inputs, *taps) = kernel.op, kernel.shape
    passes = outputs * _BYTE_PASS
    if op.groups > 1:
        return passes + outputs * prod(taps) * _DEPTHWISE_PRODUCT
    if len(kernel.sources) > 1:
        moved = sum(len(source.places) > 0 for source in kernel.sources)
        passes += _COPY * (len(kernel.sources) + moved) + _COPIED_BYTE * 2 * inputs
    if prod(taps) > 1:
        first, *others, columns = taps if len(taps) > 1 else [1, *taps]
        copies = [first + (rows - 1) * op.strides[0], *others]
        taps = [*copies, columns + (packed - 1) * op.strides[-1]]
        each = columns if max(op.dilations) > 1 else 1
        passes += prod(copies) * each * _BYTE_ROW / (packed * rows)
    filled = _filled(outputs * packed * rows) / (packed * rows)
    return passes + filled * inputs * prod(taps) * _BYTE_PRODUCT


def copy_cost(pieces: int, channels: int) -> float:
    """The cost of cutting 8-bit levels into pieces, and of joining them again."""
    return 2 * (_COPY * pieces + _COPIED_BYTE * channels)


def packed_outputs(kernel: ByteKernel, columns: int) -> int:
    """How many neighbouring outputs to compute at once: a divisor of the columns, or 1."""
    op = kernel.op
    if len(op.strides) != 2 or op.groups > 1 or op.dilations[-1] > 1 or kernel.shape[-1] < 2:
        return 1
    fit = [n for n in range(1, min(columns, _MOST_PACKED) + 1) if columns % n == 0]
    return min(fit, key=lambda n: byte_cost(kernel, n))


def pooled_outputs(
    kernel: ByteKernel, space: tuple[int, ...], pool: tuple[int, ...], by_rows: bool
) -> tuple[int, int]:
    """How many rows and columns to compute at once, of which a max pool takes each once.

    The rows are those of the pool, if it can go ``by_rows``, or one.
    """
    (height, width), (tall, wide) = space, pool
    many = by_rows and height % tall == 0 and kernel.op.dilations[0] == 1
    fit = [n for n in range(wide, min(width, _MOST_PACKED) + 1, wide) if width % n == 0]
    found = ((rows, n) for rows in ((1, tall) if many else (1,)) for n in fit)
    return min(found, key=lambda block: byte_cost(kernel, block[1], block[0]))
