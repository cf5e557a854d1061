"""Weights of more than 8 bits as sums of 8-bit weights of copies, or multiples, of a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from qcompiler.ir.kernels import Array

Share: TypeAlias = "tuple[Array, int, tuple[int, ...] | None]"

_LARGEST = 127
_PAIR = 32767  # without VNNI, kernels add two products in 16 bits, which saturate


def shares_of(weight: Array, top: int) -> Iterator[Share]:
    """Weights of 8 bits, their factors, and their channels if these are not all.

    They add up to given weights.
    """
    limit = min(_LARGEST, _PAIR // (2 * max(top, 1)) - 1)
    factor = _LARGEST // max(top, 1)
    many = _copies(weight, limit) > 2
    if factor > 1 and many.any():
        higher = np.where(_by_channel(many, weight), (weight + factor // 2) // factor, 0)
        yield from _spread(higher, _LARGEST, factor, many)
        weight = weight - higher * factor
    yield from _spread(weight, limit, 1, np.ones_like(many))


def _copies(weight: Array, limit: int) -> Array:
    """How many copies of each channel of a source it takes."""
    axes = (0, *range(2, weight.ndim))
    most, least = weight.max(axis=axes, initial=0), weight.min(axis=axes, initial=0)
    found: Array = np.maximum(1, np.maximum(-(-most // limit), -(least // (limit + 1))))
    return found


def _spread(weight: Array, limit: int, factor: int, which: Array) -> Iterator[Share]:
    """Shares of these channels, as alike as they can be.

    ``sum(floor((w + i) / n) for i < n) = w``.
    """
    copies = np.where(which, _copies(weight, limit), 0)
    if np.all(copies == 1):
        yield weight, factor, None
        return
    for at in range(int(copies.max(initial=1))):
        some = copies > at
        share = (weight[:, some] + at) // _by_channel(copies[some], weight)
        yield share, factor, None if some.all() else tuple(map(int, np.flatnonzero(some)))


def _by_channel(array: Array, weight: Array) -> Array:
    """One number for each input channel, to broadcast over weights."""
    return array.reshape(-1, *(1,) * (weight.ndim - 2))
