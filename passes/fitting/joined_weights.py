"""The weights of several branches of a layer beside each other, some outputs at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array

_ENTRIES = 1 << 20  # weights in double precision at once: a few arrays of this size are bounded


@dataclass(frozen=True)
class JoinedWeights:
    """Branches of these ``shapes``, whose outputs belong to ``groups`` groups.

    Joined, weights are ``groups x outputs x inputs``, with the inputs of all branches in order.
    """

    shapes: Sequence[tuple[int, ...]]
    groups: int

    @property
    def outputs(self) -> int:
        """Outputs of each group."""
        return self.shapes[0][0] // self.groups

    def parts(self) -> Iterator[slice]:
        """Ranges of outputs, each few enough to compute at once."""
        inputs = sum(int(np.prod(shape[1:])) for shape in self.shapes)
        step = max(1, _ENTRIES // (self.groups * inputs))
        for begin in range(0, self.outputs, step):
            yield slice(begin, min(begin + step, self.outputs))

    def joined(self, weights: Sequence[Array], at: slice = slice(None)) -> Array:
        """The weights of some outputs, in double precision."""
        parts = [self._by_output(weight)[:, at].astype(np.float64) for weight in weights]
        return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]

    def write(self, weights: Sequence[Array], at: slice, joined: Array) -> None:
        """Write those of some outputs into the weights of every branch."""
        begin = 0
        for weight in weights:
            part = self._by_output(weight)[:, at]
            part[:] = joined[:, :, begin : begin + part.shape[2]]
            begin += part.shape[2]

    def free(self, weights: Sequence[Array]) -> Array:
        """Which weights are not zero, joined."""
        return np.concatenate([self._by_output(weight) != 0 for weight in weights], axis=2)

    def columns(self, array: Array) -> Array:
        """A view, ``.. x groups x outputs``, of an array with all outputs in its last axis."""
        found: Array = array.reshape(*array.shape[:-1], self.groups, self.outputs)
        return found

    def _by_output(self, weight: Array) -> Array:
        found: Array = weight.reshape(self.groups, self.outputs, -1)
        return found
