"""The gradient of a layer's squared error while its weights change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array

from .gram import Gram
from .row_products import sums_of


@dataclass(frozen=True)
class Goal:
    """What is ``wanted`` of the sums over the number of rows, ``groups x rows x outputs``.

    If the Gram matrix is formed, the product of the inputs with it, ``groups x inputs x outputs``.
    """

    wanted: Array

    @classmethod
    def of(cls, gram: Gram, wanted: Array) -> Goal:
        """That of sums, ``groups x outputs x rows``."""
        shares = np.ascontiguousarray(wanted.transpose(0, 2, 1)) / wanted.shape[2]
        return cls(shares if gram.whole is None else gram.seen.transpose(0, 2, 1) @ shares)

    def of_outputs(self, at: Any) -> Goal:
        """That of some outputs of each group."""
        return Goal(self.wanted[:, :, at])


class Gradient:
    """The gradient of a quadratic objective while weights change, and the change of the sums.

    For a change ``moved`` of the weights it is ``moved @ gram - wanted @ seen / rows``. Inside,
    arrays are ``inputs x groups x outputs``, or ``groups x rows x outputs``: what is read and
    written lies together.
    """

    def __init__(self, gram: Gram, goal: Goal) -> None:
        self._gram, self._goal, self._rows = gram, goal.wanted, gram.seen.shape[1]
        if gram.whole is None:
            self._apart: Array = -self._goal
        else:
            self._moved = np.zeros(self._goal.shape)

    def at(self, inputs: slice, moved: Array) -> Array:
        """The gradient of some inputs, whose weights have changed by ``moved``."""
        gram = self._gram
        found: Array
        if gram.whole is None:
            found = gram.seen[:, :, inputs].transpose(0, 2, 1) @ self._apart
        else:
            found = gram.whole[:, inputs] @ self._moved
            found -= self._goal[:, inputs]
        by_input = np.ascontiguousarray(found.transpose(1, 0, 2))
        by_input += gram.ridge[:, None] * moved
        return by_input

    def move(self, inputs: slice, change: Array) -> None:
        """Change the weights of some inputs."""
        change = change.transpose(1, 0, 2)
        if self._gram.whole is None:
            self._apart += self._gram.seen[:, :, inputs] @ (change / self._rows)
        else:
            self._moved[:, inputs] += change

    def sums(self) -> Array:
        """The change of the sums by all changes of weights, ``groups x outputs x rows``."""
        found: Array
        if self._gram.whole is None:
            found = (self._apart + self._goal) * self._rows
        else:
            found = sums_of(self._gram.seen, self._moved)
        return found.transpose(0, 2, 1)
