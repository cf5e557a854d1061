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
from qcompiler.ir.spiking.input_bounds import Incoming

from .extremes import Extremes

_LARGEST = 127
_MOST = 128  # a spike counts: twice its product with a weight fits into 16 bits on every processor
_SUMS = 1 << 16  # computed at once: so many stay in the cache with their extremes


class _Block(NamedTuple):
    """Columns of sources that are read with the same weights, whose spikes add up.

    Weights, ``inputs x outputs``, are ``unit`` times 8-bit integers, plus others.
    """

    sources: list[int]
    unit: int
    coarse: Array
    fine: Array


class SpikeColumns:
    """The synapses of a population, convolutions and relays, as one matrix."""

    def __init__(self, incoming: Sequence[Incoming]) -> None:
        self._incoming, self._blocks = incoming, [*_blocks(incoming)]
        self.channels = len(incoming[0].weight)
        wide = [block for block in self._blocks if block.unit > 1]
        units = [np.full(len(block.coarse), block.unit, np.uint8) for block in wide]
        self._units = np.concatenate([np.empty(0, np.uint8), *units])
        matrices = [block.fine for block in self._blocks] + [block.coarse for block in wide]
        matrix = np.concatenate(matrices).astype(np.int8)
        writer = OnnxWriter()
        self._name = writer.input("spikes", matrix.shape[:1], np.uint8)
        product = writer.add("MatMulInteger", self._name, writer.constant(matrix))
        self._session = writer.session({product: np.int32})

    def products(self, levels: Sequence[Array]) -> int:
        """Multiplications of an image, those of every synapse counted."""
        fans = (1 if isinstance(s, Relay) else w[0].size for s, w, *_ in self._incoming)
        return self._neurons(levels) * sum(fans)

    def _neurons(self, levels: Sequence[Array]) -> int:
        return self.channels * self._rows([array[:1] for array in levels]).shape[1]

    def extremes(self, levels: Sequence[Array], top: int) -> Iterator[Extremes]:
        """The extremes, ``neurons x channels``, for levels up to ``top``, ``images x shape``."""
        step = max(1, _SUMS // self._neurons(levels))
        some = max(1, _SUMS // self.channels)
        for begin in range(0, len(levels[0]), step):
            rows = self._rows([array[begin : begin + step] for array in levels])
            for at in range(0, rows.shape[1], some):
                yield self._extremes(rows[:, at : at + some], top)

    def _extremes(self, rows: Array, top: int) -> Extremes:
        found = Extremes((rows.shape[1], self.channels), np.int32)
        spikes, more = np.empty((2, *rows.shape[1:]), bool)
        counts = spikes.view(np.uint8)
        wide = counts[:, counts.shape[1] - len(self._units) :]
        for level in range(top, 0, -1):
            np.equal(rows[0], level, out=spikes)
            for others in rows[1:]:
                np.add(counts, np.equal(others, level, out=more).view(np.uint8), out=counts)
            wide *= self._units
            (sums,) = self._session.run(None, {self._name: counts})
            found.add(sums)
        return found

    def _rows(self, levels: Sequence[Array]) -> Array:
        """Levels that each neuron reads, ``alike x (images times neurons) x inputs``."""
        read = [[_read(self._incoming[at], levels[at]) for at in b.sources] for b in self._blocks]
        read += [parts for parts, b in zip(read, self._blocks, strict=True) if b.unit > 1]
        ends = np.cumsum([0, *(first.shape[1] for first, *_ in read)])
        found = np.zeros((max(map(len, read)), len(read[0][0]), ends[-1]), np.uint8)
        for parts, begin, end in zip(read, ends, ends[1:], strict=False):
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
