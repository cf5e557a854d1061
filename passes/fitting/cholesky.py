"""Solve many linear systems of one symmetric matrix at once, in blocks that are large products."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_BLOCK = 128


class Cholesky:
    """The factor L of matrices ``L L'``, ``groups x inputs x inputs``, which are positive.

    It takes the place of the matrices, whose memory it overwrites below the diagonal and there.
    """

    def __init__(self, matrices: Array) -> None:
        self._lower, size = matrices, matrices.shape[1]
        self._blocks: list[tuple[slice, Array]] = []  # and their inverse
        for begin in range(0, size, _BLOCK):
            some, before = slice(begin, min(begin + _BLOCK, size)), slice(begin)
            behind = slice(some.stop, None)
            row = matrices[:, some, before].transpose(0, 2, 1)
            own = matrices[:, some, some] - matrices[:, some, before] @ row
            inverse = np.linalg.inv(np.linalg.cholesky(own)).transpose(0, 2, 1)
            below = matrices[:, behind, some] - matrices[:, behind, before] @ row
            matrices[:, behind, some] = below @ inverse
            self._blocks.append((some, inverse))

    def solve(self, product: Array) -> Array:
        """The x whose product with the matrix is this, both ``groups x outputs x inputs``."""
        found, lower = product.copy(), self._lower
        for some, inverse in self._blocks:
            before = slice(some.start)
            rest = found[:, :, before] @ lower[:, some, before].transpose(0, 2, 1)
            found[:, :, some] = (found[:, :, some] - rest) @ inverse
        for some, inverse in reversed(self._blocks):
            behind = slice(some.stop, None)
            rest = found[:, :, behind] @ lower[:, behind, some]
            found[:, :, some] = (found[:, :, some] - rest) @ inverse.transpose(0, 2, 1)
        return found
