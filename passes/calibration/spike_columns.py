"""Spikes of calibration images as rows of a matrix: what each neuron reads of one level (im2col).

Rows are made of the levels once, and compared with one level after the other. One product in 8-bit
integers then gives the inputs of a step, of all synapses together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.kernels import Array, windows
from qcompiler.ir.snn import Convolve, Relay
from qcompiler.ir.spiking.input_bounds import Bounds, Incoming

from .extremes import Extremes

_LARGEST = 127
_MOST = 128  # a spike counts: twice its product with a weight fits into 16 bits on every processor
_SUMS = 1 << 16  # computed at once: so many stay in the cache with their extremes
_SPIKES = 1 << 19  # compared at once: so many bytes stay in the cache


class _Block(NamedTuple):
    """Columns of sources that are read with the same weights, whose spikes add up.

    Weights, ``inputs x outputs``, are ``unit`` times 8-bit integers, plus others.
    """

    sources: list[int]
    unit: int
    coarse: Array
    fine: Array


class SpikeColumns:
    """The synapses of a population, convolutions and relays, as one matrix, or two.

    The second is for spikes that count as many as the unit of their weights.
    """

    def __init__(self, incoming: Sequence[Incoming]) -> None:
        self._incoming, blocks = incoming, [*_blocks(incoming)]
        wide = [block for block in blocks if block.unit > 1]
        self.channels = len(incoming[0].weight)
        self._parts = [part for part in (blocks, wide) if part]
        units = [np.full(len(block.coarse), block.unit, np.uint8) for block in wide]
        self._units = np.concatenate([np.empty(0, np.uint8), *units])
        matrices = [
            np.concatenate([block.fine for block in blocks]),
            *([np.concatenate([block.coarse for block in wide])] if wide else []),
        ]
        self._columns = [len(matrix) for matrix in matrices]
        writer = OnnxWriter()
        self._names = [writer.input(writer.name("spikes"), (n,), np.uint8) for n in self._columns]
        products = [
            writer.add("MatMulInteger", name, writer.constant(matrix.astype(np.int8)))
            for name, matrix in zip(self._names, matrices, strict=True)
        ]
        total = writer.add("Add", *products) if wide else products[0]
        self._session = writer.session({total: np.int32}, threads=1)

    def products(self, levels: Sequence[Array]) -> int:
        """Multiplications of an image, those of every synapse counted."""
        fans = (1 if isinstance(s, Relay) else w[0].size for s, w, *_ in self._incoming)
        return self._neurons(levels) * sum(fans)

    def _neurons(self, levels: Sequence[Array]) -> int:
        return self.channels * self._rows([array[:1] for array in levels])[0].shape[1]

    def bounds(self, levels: Sequence[Array], top: int) -> Bounds:
        """Bounds per channel for levels up to ``top``, ``images x shape``."""
        step = max(1, _SUMS // self._neurons(levels))
        some = max(1, min(_SUMS // self.channels, _SPIKES // sum(self._columns)))
        found = Extremes((some, self.channels), np.int32)
        spikes = [np.empty((2, some, n), bool) for n in self._columns]
        units = np.tile(self._units, (some, 1))
        for begin in range(0, len(levels[0]), step):
            rows = self._rows([array[begin : begin + step] for array in levels])
            for at in range(0, rows[0].shape[1], some):
                read = [part[:, at : at + some] for part in rows]
                neurons = read[0].shape[1]
                found.rest(neurons)
                self._add(found, read, top, [one[:, :neurons] for one in spikes], units[:neurons])
        return found.bounds(())

    def _add(
        self,
        found: Extremes,
        rows: Sequence[Array],
        top: int,
        spikes: Sequence[Array],
        units: Array,
    ) -> None:
        counts = [one[0].view(np.uint8) for one in spikes]
        fed = dict(zip(self._names, counts, strict=True))
        for level in range(top, 0, -1):
            for (first, *others), (seen, more), count in zip(rows, spikes, counts, strict=True):
                np.equal(first, level, out=seen)
                for other in others:
                    np.add(count, np.equal(other, level, out=more).view(np.uint8), out=count)
            if len(counts) > 1:
                np.multiply(counts[1], units, out=counts[1])
            (sums,) = self._session.run(None, fed)
            found.add(sums)

    def _rows(self, levels: Sequence[Array]) -> list[Array]:
        """Levels that each neuron reads, ``alike x (images times neurons) x inputs``, per part."""
        known = {
            at: _read(self._incoming[at], levels[at]) for b in self._parts[0] for at in b.sources
        }
        parts = [[[known[at] for at in b.sources] for b in part] for part in self._parts]
        return [_stacked(part) for part in parts]


def _stacked(blocks: Sequence[Sequence[Array]]) -> Array:
    """Columns of blocks side by side, and what has the same weights one behind the other."""
    if len(blocks) == len(blocks[0]) == 1:
        return blocks[0][0][np.newaxis]
    ends = np.cumsum([0, *(first.shape[1] for first, *_ in blocks)])
    found = np.zeros((max(map(len, blocks)), len(blocks[0][0]), ends[-1]), np.uint8)
    for parts, begin, end in zip(blocks, ends, ends[1:], strict=False):
        for nth, part in enumerate(parts):
            found[nth, :, begin:end] = part
    return found


def are_columns(incoming: Sequence[Incoming]) -> bool:
    """Whether synapses are convolutions, and relays of whole channels, of few levels."""
    for one in incoming:
        match one.synapse:
            case Convolve(groups=1):
                pass
            case Relay() if one.weight.size == len(one.weight) == one.source[0]:
                pass
            case _:
                return False
    layers = any(isinstance(one.synapse, Convolve) for one in incoming)
    few = all(one.top <= np.iinfo(np.uint8).max for one in incoming)
    counts = (unit_of(incoming[some[0]].weight) * len(some) for some in _alike(incoming))
    return layers and few and max(counts) <= _MOST


def _blocks(incoming: Sequence[Incoming]) -> Iterator[_Block]:
    for sources in _alike(incoming):
        one = incoming[sources[0]]
        weights, unit = _matrix(one), unit_of(one.weight)
        if unit == 1:
            yield _Block(sources, unit, weights[:0], weights)
        else:
            coarse = np.rint(weights / unit).astype(weights.dtype)
            yield _Block(sources, unit, coarse, weights - unit * coarse)


def _alike(incoming: Sequence[Incoming]) -> list[list[int]]:
    """Sources that are read with the same weights, which are one array."""
    found: dict[tuple[object, int], list[int]] = {}
    for at, one in enumerate(incoming):
        found.setdefault((one.synapse, id(one.weight)), []).append(at)
    return [*found.values()]


def unit_of(weight: Array) -> int:
    """The unit of which weights are 8-bit multiples, but for less than one."""
    largest = max(int(weight.max(initial=0)), -int(weight.min(initial=0)))
    return max(1, -(-largest // _LARGEST))


def _matrix(one: Incoming) -> Array:
    """Weights as ``inputs x outputs``, in the order of `_read`."""
    if isinstance(one.synapse, Relay):
        return np.diag(one.weight.reshape(-1))
    return np.moveaxis(one.weight, 1, -1).reshape(len(one.weight), -1).T


def _read(one: Incoming, levels: Array) -> Array:
    """The levels that each neuron reads, ``(images times neurons) x inputs``, channels last."""
    last = np.ascontiguousarray(np.moveaxis(levels, 1, -1))
    if not isinstance(one.synapse, Convolve):
        return last.reshape(-1, last.shape[-1])
    rank, pads = levels.ndim - 2, one.synapse.pads
    around = zip(pads[:rank], pads[rank:], strict=True)
    padded = np.pad(last, ((0, 0), *around, (0, 0))) if any(pads) else last
    bare = replace(one.synapse, pads=(0,) * len(pads))
    view = windows(np.moveaxis(padded, -1, 1), bare, one.weight.shape[2:], 0)
    found = view.transpose(0, *range(2, 2 + 2 * rank), 1)
    return found.reshape(-1, one.weight[0].size)
