"""Levels of calibration images: of the sums that a population gets through its synapses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.execution.threads import in_threads
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Convolve, Relay, Synapse
from qcompiler.ir.spiking.coding import clip_to_levels
from qcompiler.passes.quantization.integer_layer import BranchSynapses

from .spike_columns import unit_of
from .synapse_sums import WIDE, SynapseSum

_BATCH = 1 << 24  # bytes of a batch whose sums are computed
_AT_ONCE = 1 << 16  # sums that become levels


def sums_of(synapses: Sequence[BranchSynapses], levels: Sequence[Array]) -> Array:
    """The sums of a population without its bias, ``images x shape``."""
    summed = _Sums(synapses, levels)
    found = np.empty(summed.shape, summed.kind)

    def run(images: slice) -> None:
        for some, sums in summed.batches(images):
            found[some] = sums

    in_threads(run, len(found))
    return found


class SumLevels:
    """The levels that sums without bias become, in single precision."""

    def __init__(self, code: Spikes, bias: Array, slope: Array) -> None:
        self._code = code
        self._bias = bias.astype(np.float32) + np.float32(0.5)
        self._slope = slope.astype(np.float32)
        self._kind = clip_to_levels(code, np.zeros(0)).dtype

    def of(self, total: Array) -> Array:
        """The levels of known sums."""
        found = np.empty(total.shape, self._kind)
        in_threads(lambda images: self._fill(found[images], total[images]), len(total))
        return found

    def behind(self, synapses: Sequence[BranchSynapses], levels: Sequence[Array]) -> Array:
        """The levels of sums that are not kept, given what the synapses read."""
        summed = _Sums(synapses, levels)
        found = np.empty(summed.shape, self._kind)

        def run(images: slice) -> None:
            for some, sums in summed.batches(images):
                self._fill(found[some], sums)

        in_threads(run, len(found))
        return found

    def _fill(self, found: Array, total: Array) -> None:
        step = max(1, _AT_ONCE // total[0].size)
        for begin in range(0, len(total), step):
            some = total[begin : begin + step].astype(np.float32) + self._bias
            found[begin : begin + step] = clip_to_levels(self._code, some / self._slope)


class _Sums:
    """What levels ``images x shape`` of the sources of a population add up to."""

    def __init__(self, synapses: Sequence[BranchSynapses], levels: Sequence[Array]) -> None:
        tops = [int(array.max()) for array in levels]
        parts = [
            (branch, *part)
            for branch, top in enumerate(tops)
            for part in _narrowed([part[1:] for part in synapses if part.branch == branch], top)
        ]
        branches, ops, weights, self._units = zip(*parts, strict=True)
        self._read = [levels[branch] for branch in branches]
        highest = [unit * tops[branch] for branch, unit in zip(branches, self._units, strict=True)]
        self._sum = SynapseSum([*zip(ops, weights, strict=True)], self._read, highest)
        self.shape, self.kind = (len(levels[0]), *self._sum.shape), self._sum.result

    def batches(self, images: slice) -> Iterator[tuple[slice, Array]]:
        """The sums of some images after the other, and which images these are."""
        begin = images.start
        for some in self._sum.parts([array[images] for array in self._read], 1, _BATCH):
            scaled = (q if n == 1 else n * q for q, n in zip(some, self._units, strict=True))
            yield slice(begin, begin + len(some[0])), self._sum([*scaled])
            begin += len(some[0])


def _narrowed(
    synapses: Sequence[tuple[Synapse, Array]], top: int
) -> Iterator[tuple[Synapse, Array, int]]:
    """Parallel synapses from one source of levels up to ``top``, as few that are read by kernels.

    Yields them with the number by which the levels are multiplied first: those of wide weights.
    """
    kinds: dict[Synapse, list[Array]] = {}
    for synapse, weight in synapses:
        kinds.setdefault(synapse, []).append(weight)
    for synapse, weights in kinds.items():
        whole = reduce(np.add, weights)
        unit = 1 if _is_one(synapse) else unit_of(whole)
        if unit == 1:
            yield synapse, whole, 1
        elif unit * top < WIDE:
            coarse = np.rint(whole / unit).astype(whole.dtype)
            yield synapse, coarse, unit
            yield synapse, whole - unit * coarse, 1
        else:
            yield from ((synapse, weight, 1) for weight in weights)


def _is_one(synapse: Synapse) -> bool:
    """Whether one kernel computes a synapse whatever its weights are."""
    return isinstance(synapse, Relay) or (isinstance(synapse, Convolve) and synapse.groups > 1)
