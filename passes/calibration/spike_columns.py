"""Spikes of calibration images as rows of a matrix: what each neuron reads of one level (im2col).

Rows are made of the levels once, and compared with one level after the other. One product in 8-bit
integers then gives the inputs of a step, of all synapses together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.kernels import Array, windows
from qcompiler.ir.snn import Convolve, Relay
from qcompiler.ir.spiking.input_bounds import Incoming

from .extremes import Extremes

_LARGEST = 127
_SUMS = 1 << 16  # computed at once: so many stay in the cache with their extremes


class SpikeColumns:
    """The synapses of a population, convolutions and relays, as one matrix.

    ``alike`` holds the places of sources that are read with the same weights: their spikes add up.
    """

    def __init__(self, incoming: Sequence[Incoming]) -> None:
        alike: dict[tuple[object, int], list[int]] = {}
        for at, one in enumerate(incoming):
            alike.setdefault((one.synapse, id(one.weight)), []).append(at)
        self._alike, self._incoming = [*alike.values()], incoming
        self.channels = len(incoming[0].weight)
        firsts = [incoming[first] for first, *_ in self._alike]
        writer = OnnxWriter()
        matrix = np.concatenate([_matrix(one) for one in firsts]).astype(np.int8)
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
        for level in range(top, 0, -1):
            np.equal(rows[0], level, out=spikes)
            for others in rows[1:]:
                np.add(counts, np.equal(others, level, out=more).view(np.uint8), out=counts)
            (sums,) = self._session.run(None, {self._name: counts})
            found.add(sums)
        return found

    def _rows(self, levels: Sequence[Array]) -> Array:
        """Levels that each neuron reads, ``alike x (images times neurons) x inputs``."""
        read = [[_read(self._incoming[at], levels[at]) for at in some] for some in self._alike]
        widths = [first.shape[1] for first, *_ in read]
        found = np.zeros((max(map(len, read)), len(read[0][0]), sum(widths)), np.uint8)
        ends = np.cumsum(widths)
        for some, width, end in zip(read, widths, ends, strict=True):
            for nth, part in enumerate(some):
                found[nth, :, end - width : end] = part
        return found


def are_columns(incoming: Sequence[Incoming]) -> bool:
    """Whether synapses are convolutions and relays of whole channels that 8 bits hold."""
    layers = [one for one in incoming if isinstance(one.synapse, Convolve)]
    relays = [one for one in incoming if isinstance(one.synapse, Relay)]
    return (
        len(layers) > 0
        and len(layers) + len(relays) == len(incoming)
        and all(one.synapse.groups == 1 for one in layers if isinstance(one.synapse, Convolve))
        and all(one.weight.size == len(one.weight) == one.source[0] for one in relays)
        and all(np.abs(one.weight).max() <= _LARGEST and one.top < 256 for one in incoming)
    )


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
