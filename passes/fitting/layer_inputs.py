"""The inputs that a layer is fitted to; slices and channels of one value share them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode
from qcompiler.passes.quantization.real_layer import LinearSynapse

from .fitted_branches import blocks_of
from .gram import SplitGram
from .row_products import sums_of
from .samples import SamplePositions, input_rows

Coded: TypeAlias = "tuple[Array, Spikes]"  # levels, images x shape, and their code
Sources: TypeAlias = "Sequence[Sequence[Coded]]"  # what each branch reads the sum of


class LayerInputs:
    """Inputs of some branches at sampled images and positions, and their Gram matrices.

    A branch reads the sum of its sources. ``seen`` holds the inputs, ``groups x rows x inputs``,
    without their mean ``middle``.
    """

    def __init__(
        self, branches: Sequence[LinearSynapse], sources: Sources, places: SamplePositions
    ) -> None:
        self.places = places
        self.seen = _rows(branches, sources, places)
        self.middle: Array = self.seen.mean(axis=1, keepdims=True)
        self.seen -= self.middle
        self.grams = SplitGram(self.seen)

    def sums(self, weights: Array) -> Array:
        """The sums with these weights, ``rows x outputs``, for ``groups x outputs x inputs``."""
        columns = weights.transpose(0, 2, 1)
        found = sums_of(self.seen, columns) + self.middle @ columns
        return found.transpose(1, 0, 2).reshape(self.seen.shape[1], -1)


def _rows(branches: Sequence[LinearSynapse], sources: Sources, places: SamplePositions) -> Array:
    """The inputs of all branches beside each other; few are held twice at once."""
    ends = np.cumsum([0, *(branch.weight[0].size for branch in branches)])
    found = np.empty((blocks_of(branches[0]), len(places.image), ends[-1]))
    for rows, images, part in places.parts():
        for begin, end, branch, coded in zip(ends, ends[1:], branches, sources, strict=False):
            some = [(levels[images], code) for levels, code in coded]
            found[:, rows, begin:end] = _values(branch, some, part)
    return found


class SharedInputs:
    """Keeps the inputs of the last layer for others that read the same in the same way."""

    def __init__(self) -> None:
        self._known: tuple[list[Any], LayerInputs] | None = None

    def of(
        self, branches: Sequence[LinearSynapse], sources: Sources, places: SamplePositions
    ) -> LayerInputs:
        """The inputs of these branches from these sources."""
        key = [
            (branch.synapse, branch.weight.shape[1:], code, levels)
            for branch, coded in zip(branches, sources, strict=True)
            for levels, code in coded
        ]
        if self._known is None or not _alike(self._known[0], key):
            self._known = None  # frees its memory before the next takes some
            self._known = key, LayerInputs(branches, sources, places)
        return self._known[1]


def _values(branch: LinearSynapse, sources: Sequence[Coded], places: SamplePositions) -> Array:
    """The sums of what sources send to each row's neuron, in real numbers."""
    if any(code.zero for _, code in sources):  # level 0 is not the zero of padding
        decoded = (decode(code, levels, np.float32) for levels, code in sources)
        return input_rows(branch, reduce(np.add, decoded), places)
    rows = ((code, input_rows(branch, levels, places)) for levels, code in sources)
    return reduce(np.add, (decode(code, levels, np.float32) for code, levels in rows))


def _alike(some: list[Any], others: list[Any]) -> bool:
    """Whether two keys are equal; arrays are if they are the same object."""
    return len(some) == len(others) and all(
        one[:-1] == other[:-1] and one[-1] is other[-1]
        for one, other in zip(some, others, strict=True)
    )
