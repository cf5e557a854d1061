"""Which neighbouring outputs a kernel computes at once, as channels.

Columns of a source may be channels of it, too: kernels take channels by four without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .byte_kernel import ByteKernel
from .kernel_cost import Block, byte_cost, pool_cost

_MOST_PACKED = 16


def cheapest_block(kernel: ByteKernel, columns: int) -> Block:
    """How many neighbouring outputs to compute at once, a divisor of the columns, or one."""
    sizes = ((1, n) for n in _divisors(columns, 1))
    return _cheapest(kernel, sizes, lambda block: byte_cost(kernel, block))


def pooled_block(
    kernel: ByteKernel, space: tuple[int, ...], pool: tuple[int, ...], by_rows: bool
) -> Block:
    """How many rows and columns to compute at once, of which a max pool takes each once.

    The rows are those of the pool, if it can go ``by_rows``, or one.
    """
    (height, width), (tall, wide) = space, pool
    many = by_rows and height % tall == 0 and kernel.op.dilations[0] == 1
    sizes = ((rows, n) for rows in ((1, tall) if many else (1,)) for n in _divisors(width, wide))
    outputs = kernel.shape[0]

    def cost(block: Block) -> float:
        apart = block.columns // wide * outputs
        return byte_cost(kernel, block) + pool_cost(apart) / block.size

    return _cheapest(kernel, sizes, cost)


def _cheapest(
    kernel: ByteKernel, sizes: Iterable[tuple[int, int]], cost: Callable[[Block], float]
) -> Block:
    op = kernel.op
    if len(op.strides) != 2 or op.groups > 1 or op.dilations[-1] > 1 or kernel.shape[-1] < 2:
        return Block()
    width, step = kernel.sources[0].space[-1], op.strides[-1]
    found = (
        Block(rows, columns, grouped)
        for rows, columns in sizes
        for grouped in (1, 2, 4)
        if width % grouped == 0 and step * columns % grouped == 0
    )
    return min(found, key=cost)


def _divisors(number: int, multiple: int) -> list[int]:
    return [n for n in range(multiple, min(number, _MOST_PACKED) + 1, multiple) if number % n == 0]
