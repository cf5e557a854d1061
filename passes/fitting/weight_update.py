"""What fitting a layer changes: its weights, and thereby its sums and its bias."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array


class WeightUpdate(NamedTuple):
    """Changes of the weights, the resulting changes of the sums, and biases."""

    moved: Array
    sums: Array
    bias: Array

    def beside(self, others: WeightUpdate, which: Array) -> WeightUpdate:
        """Changes of ``which`` outputs of each group, and those of all others, in their order."""
        groups = len(self.moved)
        order = np.argsort(np.concatenate([np.flatnonzero(which), np.flatnonzero(~which)]))

        def joined(one: Array, other: Array) -> Array:
            both = (x.reshape(*x.shape[:-1], groups, -1) for x in (one, other))
            found: Array = np.concatenate([*both], axis=-1)[..., order]
            return found.reshape(*one.shape[:-1], -1)

        moved = np.concatenate([self.moved, others.moved], axis=1)[:, order]
        return WeightUpdate(moved, joined(self.sums, others.sums), joined(self.bias, others.bias))
