"""Extremes of the inputs, currents and membranes of neurons that start at rest, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import ABOVE, Bounds


class Extremes:
    """What neurons have seen, some after the others; arrays are of one ``kind``.

    ``shape`` begins with the most neurons that are looked at together.
    """

    def __init__(self, shape: tuple[int, ...], kind: Any) -> None:
        self._state = np.zeros((2, *shape), kind)
        self._ends = np.zeros((6, *shape), kind)
        limits: Any = np.iinfo(kind) if np.issubdtype(kind, np.integer) else np.finfo(kind)
        self._final, self._least = np.full((2, *shape), limits.max, kind)
        self._most = np.full(shape, limits.min, kind)
        self._neurons = 0

    def rest(self, neurons: int) -> None:
        """Look at so many other neurons, which are at rest."""
        self._keep()
        self._neurons = neurons
        self._state[:, :neurons] = 0

    def add(self, step: Array) -> None:
        """Add the inputs of the next step."""
        current, membrane = self._state[:, : self._neurons]
        current += step
        membrane += current
        ends = self._ends[:, : self._neurons]
        for one, low, high in zip((step, current, membrane), ends[::2], ends[1::2], strict=True):
            np.minimum(low, one, out=low)
            np.maximum(high, one, out=high)

    def bounds(self, axes: tuple[int, ...]) -> Bounds:
        """Bounds over all neurons and these axes, which become 1."""
        self._keep()
        fall, rise, weakest, strongest, lowest, highest = self._ends
        least, most = self._least, self._most
        reached = lowest, highest, self._final, fall, rise, least, most, weakest, strongest
        return Bounds(
            *(
                _reduced(np.maximum if name in ABOVE else np.minimum, one, axes)
                for name, one in zip(Bounds._fields, reached, strict=True)
            )
        )

    def _keep(self) -> None:
        """Keep what the neurons have come to."""
        current, membrane = self._state[:, : self._neurons]
        for end, known, last in (
            (np.minimum, self._final, membrane),
            (np.minimum, self._least, current),
            (np.maximum, self._most, current),
        ):
            end(known[: self._neurons], last, out=known[: self._neurons])


def _reduced(end: np.ufunc, array: Array, axes: tuple[int, ...]) -> Array:
    """Reduce the first axis, half by half as numpy is slow where the others are short, and axes."""
    while len(array) > 1:
        half, odd = divmod(len(array), 2)
        folded = end(array[:half], array[half : 2 * half])
        array = np.concatenate([folded, array[-1:]]) if odd else folded
    found: Array = end.reduce(array[0], axes, keepdims=True)
    return found.astype(float)
