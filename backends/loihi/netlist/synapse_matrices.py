"""Projections as single synapses and as matrices of 8-bit weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .netlist import Population, Synapses

_AT_ONCE = 1 << 18  # weights whose synapses are counted at once
MAX_WEIGHT = 254  # of one synapse: 8 bits, of which mixed signs leave the even numbers
COARSE_EXPONENT = 7  # of a synapse's coarse part
COARSE_UNIT = 2 << COARSE_EXPONENT


def weight_matrices(
    row: Synapses, ticks: Sequence[int], shape: tuple[int, int], group: Population, fixed: bool
) -> Iterator[tuple[Any, int]]:
    """Matrices of this shape, ``receivers x senders``, and the exponents of their weights.

    The row holds arrays; their sum is one matrix, unless ``fixed`` asks for 8-bit weights (see
    `split_weights`). The clock's neurons send at these ticks.
    """
    from scipy.sparse import csr_matrix  # type: ignore[import, unused-ignore]

    if row.kind == "clock":
        dense = np.zeros(shape, np.int32)
        for tick, line in zip(row.ticks, row.weights, strict=True):
            dense[:, ticks.index(tick)] = np.broadcast_to(line, group.shape).ravel()
        whole = csr_matrix(dense)
    else:
        pre, post, weights = synapse_triples(row, group.shape)
        whole = csr_matrix((weights, (post, pre)), shape)
    parts = split_weights(whole.data) if fixed else [(whole.data.astype(float), 0)]
    for part, exponent in parts:
        matrix = csr_matrix((part, whole.indices, whole.indptr), shape, copy=True)
        matrix.eliminate_zeros()
        yield matrix, exponent


def synapse_triples(row: Synapses, receivers: tuple[int, ...]) -> Any:
    """Sending neuron, receiving neuron and weight of every synapse but clocks', as three arrays."""
    weights, count = row.weights, np.prod(row.senders, dtype=np.int64)
    pre = (np.arange(count) if row.order is None else row.order).reshape(row.senders)
    if row.kind == "matrix":
        post, column = np.nonzero(weights)
        return pre.ravel()[column], post, weights[post, column]
    post = np.arange(np.prod(receivers, dtype=np.int64)).reshape(receivers)
    if row.kind == "kernel":
        outs, ins, *kernel = weights.shape
        rank, ones = len(kernel), (1,) * len(kernel)
        pre = receptive_fields(row, pre, tuple(kernel))
        space = pre.shape[1 : 1 + rank]
        pre = pre.reshape(row.groups, 1, ins, *space, *kernel)
        post = post.reshape(row.groups, outs // row.groups, 1, *space, *ones)
        weights = weights.reshape(row.groups, outs // row.groups, ins, *ones, *kernel)
    pre, post, weights = np.broadcast_arrays(pre, post, weights)
    there = (pre >= 0) & (weights != 0)
    return pre[there], post[there], weights[there]


def receptive_fields(row: Synapses, senders: Any, kernel: tuple[int, ...]) -> Any:
    """Presynaptic neurons of a kernel at every position, ``C x out x kernel``; -1 is padding."""
    rank = len(kernel)
    pads = tuple(zip(row.pads[:rank], row.pads[rank:], strict=True))
    padded = np.pad(senders, ((0, 0), *pads), constant_values=-1)
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, row.dilations, strict=True))
    axes: Any = tuple(range(1, 1 + rank))
    steps = (slice(None, None, step) for step in (1, *row.strides, *row.dilations))
    return sliding_window_view(padded, spans, axis=axes)[tuple(steps)]


def split_weights(weights: Any) -> list[tuple[Any, int]]:
    """Write integers as sums of 8-bit weights: arrays and their binary exponents.

    ``sum(part * 2.0**exponent)`` is the array again; parts are even and within +-254. Parts that
    are 0 everywhere are left out.
    """
    return _split(weights, _is_wide(weights))


def unit_of(weights: Any) -> int:
    """The largest power of two that divides all weights; at most that of a coarse part."""
    bits = int(np.bitwise_or.reduce(weights, axis=None))
    return min(bits & -bits or 2, COARSE_UNIT)


def largest_weight(weights: Any) -> int:
    """The largest weight that one synapse of these can have: so many of their units."""
    return MAX_WEIGHT // 2 * unit_of(weights)


def _is_wide(weights: Any) -> bool:
    """Whether some weight takes several synapses; then the others are split alike."""
    most = largest_weight(weights)
    return bool(weights.max(initial=0) > most or weights.min(initial=0) < -most)


def _split(weights: Any, wide: bool) -> list[tuple[Any, int]]:
    if not wide:
        return _in_units(weights)
    weights = weights.astype(np.int64)  # of 16 bits, sums below may take more
    low = (weights + 128) % COARSE_UNIT - 128
    lowest = low == -128  # one too many for an odd part
    parts = _in_units(np.where(lowest, 0, low)) + _in_units(np.where(lowest, low, 0))
    coarse = (weights - low) // COARSE_UNIT
    while coarse.any():
        part = np.clip(coarse, -127, 127)
        parts.append((2 * part, COARSE_EXPONENT))
        coarse = coarse - part
    return parts


def _in_units(weights: Any) -> list[tuple[Any, int]]:
    """Weights that take one synapse each, as even numbers."""
    if not weights.any():
        return []
    unit = unit_of(weights)
    if unit == 1:
        return [(2 * weights.astype(np.int16), -1)]
    return [(weights // (unit // 2), unit.bit_length() - 2)]


def synapses_of_weights(weights: Any) -> Any:
    """Of how many 8-bit synapses each weight consists: 0 for weight 0; see `split_weights`.

    The counts are bytes, unless they may be larger: sum them up as wider integers.
    """
    if not _is_wide(weights):
        return (weights != 0).view(np.uint8)
    flat = np.ravel(weights)
    most = max(int(flat.max()), -int(flat.min())) // (MAX_WEIGHT << COARSE_EXPONENT) + 2
    found: Any = np.zeros(flat.size, np.uint8 if most < 256 else np.uint32)
    for begin in range(0, flat.size, _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        for part, _ in _split(flat[some], True):
            found[some] += part != 0
    return found.reshape(np.shape(weights))
