"""The Gram matrix of a layer's inputs, formed only where products with it are cheaper than without.

For inputs S, ``groups x rows x inputs``, it is ``S' S / rows`` plus a ridge on the diagonal. With
few rows, products go through S, and memory stays that of S. Changes of weights, which are
multiplied with it, are ``groups x outputs x inputs``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qcompiler.ir.kernels import Array

from .cholesky import Cholesky

_AT_ONCE = 256  # rows of the matrix that are copied at once
_HELD_OUT = 4  # one row in four is held out to choose the ridge


@dataclass(frozen=True)
class Gram:
    """The inputs, the matrix without its ridge (None: not formed), and the ridge of each group."""

    seen: Array
    whole: Array | None
    ridge: Array

    @classmethod
    def of(cls, seen: Array, last: Gram | None = None) -> Gram:
        """Without a ridge; ``last`` is the matrix of some last rows, if it is known."""
        groups, rows, inputs = seen.shape
        if 2 * rows < inputs:
            return cls(seen, None, np.zeros(groups))
        others = seen
        if last and last.whole is not None:
            others = seen[:, : rows - last.seen.shape[1]]
        whole: Array = others.transpose(0, 2, 1) @ others
        if last and last.whole is not None:
            for at in range(0, inputs, _AT_ONCE):
                some = slice(at, at + _AT_ONCE)
                whole[:, some] += last.seen.shape[1] * last.whole[:, some]
        whole /= rows
        return cls(seen, whole, np.zeros(groups))

    def with_ridge(self, share: float) -> Gram:
        """The same with a ridge that penalises changes, as a share of the mean square input."""
        return replace(self, ridge=share * self._squares.mean(axis=1) + 1e-20)

    @property
    def diagonal(self) -> Array:
        """The diagonal, ``groups x inputs``."""
        found: Array = self._squares + self.ridge[:, None]
        return found

    @property
    def steepness(self) -> Array:
        """The least eigenvalue, at least, of each group's matrix scaled to a diagonal of 1."""
        found: Array = self.ridge / self.diagonal.max(axis=1)
        return found

    @property
    def products(self) -> int:
        """Multiplications of a product with the change of one output of each group."""
        groups, rows, inputs = self.seen.shape
        return groups * inputs * (2 * rows if self.whole is None else inputs)

    @cached_property
    def _squares(self) -> Array:
        if self.whole is not None:
            return np.diagonal(self.whole, axis1=1, axis2=2)
        found: Array = np.einsum("gri,gri->gi", self.seen, self.seen) / self.seen.shape[1]
        return found

    @cached_property
    def factor(self) -> Cholesky:
        """The factor of the matrix with its ridge."""
        return Cholesky(self.block(slice(None)))

    @cached_property
    def kernel(self) -> Array:
        """The products of rows with rows, ``groups x rows x rows``."""
        found: Array = self.seen @ self.seen.transpose(0, 2, 1)
        return found

    def times(self, moved: Array) -> Array:
        """The product with a change of the weights."""
        found = moved @ self.whole if self.whole is not None else self.sums(moved) @ self.seen
        found += self.ridge[:, None, None] * moved
        return found

    def sums(self, moved: Array) -> Array:
        """The change of the sums by changes of the weights, divided by the number of rows."""
        scaled = moved / self.seen.shape[1]
        found: Array = scaled @ self.seen.transpose(0, 2, 1)
        return found

    def block(self, inputs: slice) -> Array:
        """The square matrix of some inputs."""
        if self.whole is not None:
            found = self.whole[:, inputs, inputs].copy()
        else:
            seen = self.seen[:, :, inputs]
            found = seen.transpose(0, 2, 1) @ seen / seen.shape[1]
        found[:, range(found.shape[1]), range(found.shape[1])] += self.ridge[:, None]
        return found


class SplitGram:
    """The Gram matrices of all rows, and of those that are not held out."""

    def __init__(self, seen: Array) -> None:
        self.cut = seen.shape[1] // _HELD_OUT
        self.some = Gram.of(seen[:, self.cut :])
        self.all = Gram.of(seen, self.some)
