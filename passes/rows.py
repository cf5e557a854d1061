"""What a layer sees and what it should sum up, row by row, and the weights that fit best."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir.kernels import Array

from .descent import conjugate

_RIDGES = (0.03, 0.3, 3.0, 30.0)  # of the mean square of an input
_HELD_OUT = 4  # one row in so many chooses among them
_ROUNDS, _STEPS = 3, 10


@dataclass(frozen=True)
class Rows:
    """Inputs and sums of a layer at a sample of images and places.

    ``seen`` are inputs, ``groups x rows x inputs``; ``target`` and ``first``, ``rows x outputs``,
    are what the layer should sum up and what it does with its first weights. What a clip cuts off
    below ``low`` is not missing. All are of double precision, in which sums hardly depend on the
    machine. Moves of weights are ``groups x outputs x inputs``.
    """

    seen: Array
    first: Array
    target: Array
    low: float | None

    def lack(self, moved: Array, bias: Array) -> Array:
        """What is missing at the first weights, seen from the present ones: ``rows x outputs``."""
        target = self.target
        if self.low is not None:
            present = self.first + self.sums(moved) + bias
            low = self.low
            target = np.where(target <= low, np.minimum(present, low), target)
        lack: Array = target - self.first
        return lack

    def sums(self, moved: Array) -> Array:
        """What moves of the weights add to the sums: ``rows x outputs``."""
        found = self.seen @ moved.transpose(0, 2, 1)
        return found.transpose(1, 0, 2).reshape(self.first.shape)

    def product(self, lack: Array) -> Array:
        """The inputs' products with what is missing, shaped as a move."""
        blocks = lack.reshape(len(lack), len(self.seen), -1).transpose(1, 2, 0)
        result: Array = blocks @ self.seen / len(lack)
        return result

    def level(self, moved: Array, bias: Array) -> Array:
        """The bias that leaves nothing missing on average."""
        result: Array = (self.lack(moved, bias) - self.sums(moved)).mean(axis=0)
        return result

    def gram(self, ridge: float) -> Array:
        """The inputs' products with each other, and a ridge: see `descent`."""
        found = self.seen.transpose(0, 2, 1) @ self.seen / self.seen.shape[1]
        power = np.trace(found, axis1=1, axis2=2) / found.shape[1]
        eye = np.eye(found.shape[1])
        result: Array = found + (ridge * power + 1e-20)[:, None, None] * eye
        return result

    def solved(self, gram: Array, free: Array) -> tuple[Array, Array]:
        """The moves of weights and biases of least squared error."""
        moved = np.zeros(free.shape)
        bias = self.level(moved, np.zeros(self.first.shape[1]))
        for _ in range(_ROUNDS):
            product = self.product(self.lack(moved, bias) - bias)
            moved = conjugate(gram, product, moved, free, _STEPS)
            bias = self.level(moved, bias)
        return moved, bias

    def ridge(self, free: Array) -> float:
        """The ridge whose solution on most of the rows is best on the others."""
        cut = self.seen.shape[1] // _HELD_OUT
        others, some = self._part(slice(cut)), self._part(slice(cut, None))
        errors = []
        for ridge in _RIDGES:
            moved, bias = some.solved(some.gram(ridge), free)
            left = others.lack(moved, bias) - others.sums(moved) - bias
            errors.append(float((left**2).sum(dtype=np.float64)))
        return _RIDGES[int(np.argmin(errors))]

    def _part(self, rows: slice) -> Rows:
        return replace(
            self, seen=self.seen[:, rows], first=self.first[rows], target=self.target[rows]
        )
