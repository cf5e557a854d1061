"""The inputs that a layer is fitted to; slices and channels of one value share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode

from .real_layer import LinearSynapse
from .regression import SplitGram
from .samples import SamplePositions, input_rows

Coded: TypeAlias = "tuple[Array, Spikes]"  # levels, images x shape, and their code


class LayerInputs:
    """Inputs of some branches at sampled images and positions, and their Gram matrices.

    ``seen`` holds them, ``groups x rows x inputs``, without their mean ``middle``.
    """

    def __init__(
        self, branches: Sequence[LinearSynapse], sources: Sequence[Coded], places: SamplePositions
    ) -> None:
        self.places = places
        rows = [
            input_rows(branch, decode(code, levels, np.float32), places)
            for branch, (levels, code) in zip(branches, sources, strict=True)
        ]
        joined = np.concatenate(rows, axis=2)
        self.middle: Array = joined.mean(axis=1, keepdims=True, dtype=np.float64)
        self.seen: Array = joined - self.middle
        self.grams = SplitGram(self.seen)

    def sums(self, weights: Array) -> Array:
        """The sums with these weights, ``rows x outputs``, for ``groups x outputs x inputs``."""
        columns = weights.transpose(0, 2, 1)
        found = self.seen @ columns + self.middle @ columns
        return found.transpose(1, 0, 2).reshape(self.seen.shape[1], -1)


class SharedInputs:
    """Keeps the inputs of the last layer for others that read the same in the same way."""

    def __init__(self) -> None:
        self._known: tuple[list[Any], LayerInputs] | None = None

    def of(
        self, branches: Sequence[LinearSynapse], sources: Sequence[Coded], places: SamplePositions
    ) -> LayerInputs:
        """The inputs of these branches from these sources."""
        key = [
            (branch.synapse, branch.weight.shape[1:], code, levels)
            for branch, (levels, code) in zip(branches, sources, strict=True)
        ]
        if self._known is None or not _alike(self._known[0], key):
            self._known = None  # frees its memory before the next takes some
            self._known = key, LayerInputs(branches, sources, places)
        return self._known[1]


def _alike(some: list[Any], others: list[Any]) -> bool:
    """Whether two keys are equal; arrays are if they are the same object."""
    return len(some) == len(others) and all(
        one[:-1] == other[:-1] and one[-1] is other[-1]
        for one, other in zip(some, others, strict=True)
    )
