"""How many synapses of 8 bits a spike of each sender reaches, row by row of a netlist."""

from __future__ import annotations

from functools import reduce

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import synapse_triples, synapses_of_weights
from qcompiler.ir.kernels import Array

_MERGED = 1 << 23  # synapses of a row that are merged where a view repeats their sender


def clock_synapses_of(row: Synapses, group: Population) -> int:
    """All synapses of a row of clocks onto a population."""
    counts = synapses_of_weights(row.weights)
    return int(counts.sum(dtype=np.int64)) * (
        group.size // int(np.prod(counts.shape[1:], dtype=np.int64))
    )


def fan_out_of(row: Synapses, group: Population, senders: int) -> Array:
    """Synapses of each sending neuron, flat."""
    counts = synapses_of_weights(row.weights)
    match row.kind:
        case "matrix":
            each = counts.sum(axis=0, dtype=np.int64)
        case "kernel":
            each = _kernel_fan_out(row, counts)
        case _:
            each = np.broadcast_to(counts, group.shape).astype(np.int64)
    found: Array = np.zeros(senders, np.int64)
    if row.order is None:  # the first senders, or all
        found[: each.size] = np.ravel(each)
        return found
    numbers = np.ravel(row.order)
    repeated = row.kind != "each" and np.unique(numbers).size < numbers.size
    if repeated and np.sum(each) <= _MERGED:
        return _merged_fan_out(row, group, senders)
    np.add.at(found, numbers, np.ravel(each))
    return found


def _merged_fan_out(row: Synapses, group: Population, senders: int) -> Array:
    """The same where a view repeats a sender: synapses to one receiver add up to one.

    In rows beyond `_MERGED` each of them counts, which is an upper bound.
    """
    pre, post, weights = synapse_triples(row, group.shape)
    pairs, which = np.unique(post.astype(np.int64) * senders + pre, return_inverse=True)
    summed = np.zeros(len(pairs), np.int64)
    np.add.at(summed, which.ravel(), weights)
    found: Array = np.zeros(senders, np.int64)
    np.add.at(found, pairs % senders, synapses_of_weights(summed))
    return found


def _kernel_fan_out(row: Synapses, counts: Array) -> Array:
    """Synapses of each sender of a convolution, ``C x space``; borders reach fewer windows."""
    outs, ins, *kernel = counts.shape
    channels, *space = row.senders
    rank = len(kernel)
    grouped = counts.reshape(row.groups, outs // row.groups, ins, *kernel).sum(
        axis=1, dtype=np.int64
    )
    pads = row.pads[:rank], row.pads[rank:]
    axes = zip(kernel, space, row.strides, row.dilations, *pads, strict=True)
    reached = (_windows_at(*axis) for axis in axes)  # contract the first kernel axis that is left
    found: Array = reduce(
        lambda sums, axis: np.tensordot(sums, axis, axes=(1, 0)),
        reached,
        grouped.reshape(channels, *kernel).astype(np.float64),  # which BLAS contracts, exactly
    )
    return found.astype(np.int64)


def _windows_at(
    kernel: int, space: int, stride: int, dilation: int, before: int, after: int
) -> Array:
    """Whether some window has its k-th element at a place, along one axis: ``kernel x space``."""
    windows = (space + before + after - ((kernel - 1) * dilation + 1)) // stride + 1
    places = np.arange(kernel)[:, None] * dilation + np.arange(windows) * stride - before
    found = np.zeros((kernel, space))
    element, window = np.nonzero((places >= 0) & (places < space))
    found[element, places[element, window]] = 1
    return found
