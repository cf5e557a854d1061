"""Adds the weights of synapses where spikes arrive: the cost follows spikes and their fan-out."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import Sliding
from qcompiler.ir.snn import Connect, Convolve, Synapse

from .products import Product


class Targets(NamedTuple):
    """Where the spike of each place goes: taps of the kernel, and places there, or -1.

    Both are ``places x taps``. With strides a place has few of the taps: only those are held.
    ``outs`` is the number of places that there are.
    """

    taps: Array
    places: Array
    outs: int = 1

    @classmethod
    def of(cls, op: Sliding, space: tuple[int, ...], kernel: tuple[int, ...]) -> Targets:
        """The taps of a kernel that slides over a space."""
        found = cls(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32))
        rank = len(kernel)
        pads = zip(op.pads[:rank], op.pads[rank:], strict=True)
        for size, k, stride, (before, behind), dilation in zip(
            space, kernel, op.strides, pads, op.dilations, strict=True
        ):
            outs = (size + before + behind - (k - 1) * dilation - 1) // stride + 1
            tap = np.arange(k, dtype=np.int32)[:, None]
            moved = np.arange(size, dtype=np.int32) + before - tap * dilation
            place = moved // stride
            hits = (moved % stride == 0) & (place >= 0) & (place < outs)
            chosen = np.argsort(~hits, axis=0, kind="stable")[: max(1, hits.sum(axis=0).max())]
            place = np.take_along_axis(np.where(hits, place, -1), chosen, 0)
            found = found._along(chosen.T, place.T, k, outs)
        return found

    def _along(self, taps: Array, places: Array, kernel: int, outs: int) -> Targets:
        """The same with one axis more, the fastest."""
        both = self.taps[:, None, :, None] * kernel + taps[None, :, None, :]
        first, last = self.places[:, None, :, None], places[None, :, None, :]
        place = np.where((first < 0) | (last < 0), -1, first * outs + last)
        shape = len(self.taps) * len(taps), self.taps.shape[1] * taps.shape[1]
        both, place = (x.reshape(shape).astype(np.int32) for x in (both, place))
        return Targets(both, place, self.outs * outs)


class Scatter:
    """The synapses of a convolution or a matrix as rows of weights, one for each tap and channel.

    A spike adds one row of them to each place that it reaches.
    """

    def __init__(self, op: Synapse, weight: Array, source: tuple[int, ...]) -> None:
        assert isinstance(op, Convolve | Connect)
        if isinstance(op, Connect):
            weight, source = weight.reshape(*weight.shape, 1), (prod(source), 1)
            op = Convolve((1,), (0, 0), (1,))
        self.op, self.product, self.source = op, Product(op, weight, source), source
        self.targets = Targets.of(op, source[1:], weight.shape[2:])
        self.targets.taps[:] *= source[0]
        misses = self.targets.places < 0  # of the border; these spikes go to a place behind all
        self.targets.places[misses] = self.targets.outs
        self.rows = self.targets.outs + int(misses.any())
        groups, (inputs, *kernel) = op.groups, weight.shape[1:]
        split = weight.reshape(groups, len(weight) // groups, inputs, prod(kernel))
        rows = split.transpose(3, 0, 2, 1).reshape(-1, len(weight) // groups)
        self.weights = np.ascontiguousarray(rows)

    def __call__(self, events: Array) -> Array:
        """Sums of weights times what each spike counts, ``batch x channels x places``.

        ``events`` is ``batch x source``, 0 where no spike comes.
        """
        events = events.reshape(len(events), *self.source)
        count = np.count_nonzero(events)
        if count * self._scattering > events.size * self._multiplying:
            return self.product(events)
        return self._scattered(events, 1, 0)

    def by_arrival(self, events: Array, slots: int, end: int) -> Array:
        """Sums of weights for each slot, ``slots x batch x channels x places``.

        Events are the number of steps that a spike lasts. It goes to the slot ``end`` less these.
        """
        return self._scattered(events, slots, end)

    @property
    def _scattering(self) -> float:
        """Nanoseconds that a spike takes, measured."""
        taps, outs = self.targets.taps.shape[1], self.weights.shape[1]
        return taps * (12 + 0.3 * outs)

    @property
    def _multiplying(self) -> float:
        """Nanoseconds that a neuron takes as part of a product, spike or none, measured."""
        taps, inputs = len(self.weights) / self.source[0], prod(self.source[1:])
        return taps * self.targets.outs / inputs * self.product.cost

    def _scattered(self, events: Array, slots: int, end: int) -> Array:
        from scipy.sparse import coo_matrix  # type: ignore[import, unused-ignore]

        batch, flat, groups = len(events), events.reshape(-1), self.op.groups
        at = np.flatnonzero(flat)
        lasting, at = flat[at], at.astype(np.int32)
        line, place = np.divmod(at, np.int32(prod(self.source[1:])))
        frame, channel = np.divmod(line, np.int32(self.source[0]))
        if slots > 1:
            frame = (end - lasting.astype(np.int32)) * batch + frame
            lasting = np.ones(len(at))
        if groups > 1:
            frame = frame * groups + channel // (self.source[0] // groups)
        row = self.targets.places[place]
        row += (frame * self.rows)[:, None]
        column = self.targets.taps[place]
        column += channel[:, None]
        given = np.repeat(lasting.astype(self.weights.dtype), row.shape[1])
        entries = given, (row.reshape(-1), column.reshape(-1))
        shape = slots * batch * groups * self.rows, len(self.weights)
        found: Array = coo_matrix(entries, shape) @ self.weights
        found = found.reshape(-1, self.rows, found.shape[1])[:, : self.targets.outs]
        return found.swapaxes(1, 2).reshape(slots, batch, -1, self.targets.outs)
