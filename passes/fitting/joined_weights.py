"""The weights of several branches of a layer beside each other, some outputs at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

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
        pieces = [piece.astype(np.float64) for piece, _ in self.pieces(weights, at, slice(None))]
        return np.concatenate(pieces, axis=2) if len(pieces) > 1 else pieces[0]

    def write(
        self, weights: Sequence[Array], at: slice, joined: Array, inputs: slice = slice(None)
    ) -> None:
        """Write those of some outputs and inputs into the weights of every branch."""
        for piece, where in self.pieces(weights, at, inputs):
            piece[:] = joined[:, :, where]

    def pieces(
        self, weights: Sequence[Array], at: slice, inputs: slice
    ) -> Iterator[tuple[Array, slice]]:
        """Views of what each branch holds of some inputs, and where that lies among these."""
        begin, end, _ = inputs.indices(self._ends[-1])
        for weight, low, high in zip(weights, self._ends, self._ends[1:], strict=False):
            first, last = max(begin, low), min(end, high)
            if first < last:
                view = self.by_output(weight)[:, at, first - low : last - low]
                yield view, slice(first - begin, last - begin)

    @cached_property
    def _ends(self) -> list[int]:
        """Where the inputs of each branch begin, and where those of the last end."""
        return [0, *accumulate(int(np.prod(shape[1:])) for shape in self.shapes)]

    def free(self, weights: Sequence[Array]) -> Array:
        """Which weights are not zero, joined."""
        return np.concatenate([self.by_output(weight) != 0 for weight in weights], axis=2)

    def columns(self, array: Array) -> Array:
        """A view, ``.. x groups x outputs``, of an array with all outputs in its last axis."""
        found: Array = array.reshape(*array.shape[:-1], self.groups, self.outputs)
        return found

    def by_output(self, weight: Array) -> Array:
        """The weights of a branch, ``groups x outputs x inputs``."""
        found: Array = weight.reshape(self.groups, self.outputs, -1)
        return found


class JoinedBlocks:
    """The joined weights of some outputs, of which some inputs are read or written at once."""

    def __init__(self, joined: JoinedWeights, weights: Sequence[Array], outputs: slice) -> None:
        self._joined, self._outputs = joined, outputs
        self._weights = [joined.by_output(weight) for weight in weights]

    def __getitem__(self, at: tuple[slice, slice, slice]) -> Array:
        """Some inputs, in the precision of their branches."""
        pieces = [view for view, _ in self._joined.pieces(self._weights, self._outputs, at[2])]
        return np.concatenate(pieces, axis=2) if len(pieces) > 1 else pieces[0]

    def __setitem__(self, at: tuple[slice, slice, slice], numbers: Array) -> None:
        """Write those of some inputs."""
        self._joined.write(self._weights, self._outputs, numbers, at[2])
