"""What is missing of the sums of a layer, where clipping to levels does not hide it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array

_AT_ONCE = 1 << 14  # numbers that stay in the cache
_FAR = 1e300  # from no sum to any other


@dataclass(frozen=True)
class Residuals:
    """What ``target`` sums, ``rows x outputs``, miss in others.

    Clipping removes differences below ``low`` and above ``high``, so these are not counted.
    ``free`` holds where targets are above ``low``, and where they are below ``high``.
    """

    target: Array
    low: float
    high: float
    free: tuple[Array, Array]

    @classmethod
    def of(cls, target: Array, low: float, high: float) -> Residuals:
        """Those of these targets."""
        return cls(target, low, high, (target > low, target < high))

    def missing(self, first: Array, sums: Array, bias: Array) -> Array:
        """The residual of sums, which are added up with a bias of each output."""
        found, step = np.empty(first.shape), max(1, _AT_ONCE // max(1, first.shape[1]))
        spare = np.empty((min(step, len(first)), first.shape[1]))
        for begin in range(0, len(first), step):
            some = slice(begin, begin + step)
            part, other = found[some], spare[: len(first) - begin]
            np.add(first[some], sums[some], out=part)
            part += bias
            np.clip(self.target[some], self.low, self.high, out=other)
            np.subtract(other, part, out=part)
            np.minimum(part, np.multiply(self.free[0][some], _FAR, out=other), out=part)
            np.maximum(part, np.multiply(self.free[1][some], -_FAR, out=other), out=part)
        return found
