"""What a layer sees and what it should sum up, row by row, and the weights that fit best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

from .least_squares import conjugate_gradients

_RIDGES = (30.0, 3.0, 0.3, 0.03)  # of the mean square of an input, each from the last one's end
_HELD_OUT = 4  # one row in so many chooses among them
_ROUNDS, _STEPS = 3, 10
_ROUNDING = 1e-12  # squared, a millionth: coarser than what targets are kept in, single precision


class WeightUpdate(NamedTuple):
    """Moves of weights, what they add to the sums, and biases."""

    moved: Array
    sums: Array
    bias: Array


@dataclass(frozen=True)
class LayerRegression:
    """Inputs and sums of a layer at a sample of images and places.

    ``seen`` are inputs, ``groups x rows x inputs``; ``target`` and ``first``, ``rows x outputs``,
    are what the layer should sum up and what it does with its first weights. What levels cut off,
    below ``low`` and above ``high``, is not missing. All are of double precision, in which sums
    hardly depend on the machine. Moves of weights are ``groups x outputs x inputs``.
    """

    seen: Array
    first: Array
    target: Array
    low: float
    high: float

    def missing(self, sums: Array, bias: Array) -> Array:
        """What is missing with moves that add ``sums``, and a bias: ``rows x outputs``."""
        present = self.first + sums
        present += bias
        missing: Array = self.target - present
        np.minimum(self.low - present, 0, out=missing, where=self.target <= self.low)
        np.maximum(self.high - present, 0, out=missing, where=self.target >= self.high)
        return missing

    def sums(self, moved: Array) -> Array:
        """What moves of the weights add to the sums: ``rows x outputs``."""
        found = self.seen @ moved.transpose(0, 2, 1)
        return found.transpose(1, 0, 2).reshape(self.first.shape)

    def product(self, wanted: Array) -> Array:
        """The inputs' products with what moves should add, shaped as a move."""
        blocks = wanted.reshape(len(wanted), len(self.seen), -1).transpose(1, 2, 0)
        result: Array = blocks @ self.seen / len(wanted)
        return result

    def level(self, sums: Array, bias: Array) -> Array:
        """The bias that leaves nothing missing on average."""
        result: Array = bias + self.missing(sums, bias).mean(axis=0)
        return result

    def gram(self) -> Array:
        """The inputs' products with each other: see `descent`."""
        result: Array = self.seen.transpose(0, 2, 1) @ self.seen / self.seen.shape[1]
        return result

    def begin(self, free: Array) -> WeightUpdate:
        """No moves, and the bias that leaves nothing missing on average."""
        sums = np.zeros_like(self.first)
        return WeightUpdate(np.zeros(free.shape), sums, self.level(sums, np.zeros(sums.shape[1])))

    def better(self, found: WeightUpdate, gram: Array, free: Array) -> WeightUpdate:
        """The moves and biases of least squared error, given what levels hide at the last."""
        product = self.product(self.missing(found.sums, found.bias) + found.sums)
        moved = conjugate_gradients(gram, product, found.moved, free, _STEPS)
        sums = self.sums(moved)
        return WeightUpdate(moved, sums, self.level(sums, found.bias))

    def solved(self, free: Array) -> tuple[Array, WeightUpdate]:
        """The Gram matrix with its ridge, and moves and biases of least squared error."""
        gram = with_ridge(self.gram(), self._ridge(free))
        found = self.begin(free)
        for _ in range(_ROUNDS):
            found = self.better(found, gram, free)
        return gram, found

    def _ridge(self, free: Array) -> float:
        """The ridge whose solution on most of the rows is best on the others.

        Of those that are as good but for rounding, the firmest: where nothing is missing, all are.
        """
        cut = self.seen.shape[1] // _HELD_OUT
        others, some = self._part(slice(cut)), self._part(slice(cut, None))
        gram, found, errors = some.gram(), some.begin(free), []
        for ridge in _RIDGES:
            found = some.better(found, with_ridge(gram, ridge), free)
            missing = others.missing(others.sums(found.moved), found.bias)
            errors.append(float((missing**2).sum()))
        rounding = _ROUNDING * float(np.square(others.target).sum())
        alike = np.array(errors) <= min(errors) * (1 + _ROUNDING) + rounding
        return _RIDGES[int(np.argmax(alike))]

    def _part(self, rows: slice) -> LayerRegression:
        return replace(
            self, seen=self.seen[:, rows], first=self.first[rows], target=self.target[rows]
        )


def with_ridge(gram: Array, ridge: float) -> Array:
    """A Gram matrix that holds weights where they were."""
    power = np.trace(gram, axis1=1, axis2=2) / gram.shape[1]
    result: Array = gram + (ridge * power + 1e-20)[:, None, None] * np.eye(gram.shape[1])
    return result
