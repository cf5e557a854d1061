"""Extremes of the inputs, currents and membranes of neurons that start at rest, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import ABOVE, Bounds


class Extremes:
    """What neurons of this shape have seen; arrays are of one ``kind``."""

    def __init__(self, shape: tuple[int, ...], kind: Any) -> None:
        self._current, self._membrane, *self._ends = np.zeros((8, *shape), kind)

    def add(self, step: Array) -> None:
        """Add the inputs of the next step."""
        self._current += step
        self._membrane += self._current
        seen = step, self._current, self._membrane
        for one, low, high in zip(seen, self._ends[::2], self._ends[1::2], strict=True):
            np.minimum(low, one, out=low)
            np.maximum(high, one, out=high)

    def bounds(self, axes: tuple[int, ...]) -> Bounds:
        """Bounds over the first axis, and these of the others, which become 1."""
        fall, rise, weakest, strongest, lowest, highest = self._ends
        last = self._current
        reached = lowest, highest, self._membrane, fall, rise, last, last, weakest, strongest
        return Bounds(
            *(
                _reduced(np.maximum if name in ABOVE else np.minimum, one, axes)
                for name, one in zip(Bounds._fields, reached, strict=True)
            )
        )


def _reduced(end: np.ufunc, array: Array, axes: tuple[int, ...]) -> Array:
    """Reduce the first axis, half by half, as numpy is slow where the others are short; and axes."""
    while len(array) > 1:
        half, odd = divmod(len(array), 2)
        folded = end(array[:half], array[half : 2 * half])
        array = np.concatenate([folded, array[-1:]]) if odd else folded
    found: Array = end.reduce(array[0], axes, keepdims=True)
    return found.astype(float)
