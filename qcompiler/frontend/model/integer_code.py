"""Codes of a quantised model: which integers stand for which real numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .onnx_tensor import Array


@dataclass(frozen=True, eq=False)
class IntegerCode:
    """Integers q from ``low`` to ``high`` that stand for ``scale * (q - zero)``.

    Scale and zero are one number, or spread over a sample.
    """

    scale: Array
    zero: Array
    low: int
    high: int

    @property
    def levels(self) -> int:
        """Number of integers."""
        return self.high - self.low + 1

    @property
    def uniform(self) -> bool:
        """Whether one scale and one zero hold for all elements."""
        return self.scale.size == self.zero.size == 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest number of a uniform code."""
        scale, zero = float(self.scale.reshape(())), float(self.zero.reshape(()))
        return scale * (self.low - zero), scale * (self.high - zero)

    def real(self, integers: Array) -> Array:
        """What integers stand for, as float32."""
        found: Array = (integers.astype(np.float64) - self.zero) * self.scale
        return found.astype(np.float32)

    def same(self, other: IntegerCode) -> bool:
        """Whether both read integers alike."""
        return bool(
            np.array_equal(self.scale, other.scale) and np.array_equal(self.zero, other.zero)
        )
