"""The highest values of every channel in each frame."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

from .grid import are_whole


class Peaks:
    """The two largest values of every channel, of different frames; ``each`` were seen of it.

    With ``sign`` -1 these are the lowest, and all are negative numbers of them.
    """

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.each = 0
        self._two: Array | None = None  # frames x channels, in ascending order

    def add(self, values: Array) -> None:
        """Look at some frames, ``frames x channels x ..``, or ``frames`` of one channel."""
        channels = values.reshape(len(values), *(values.shape[1:2] or (1,)), -1)
        self.each += len(values) * channels.shape[2]
        ends = channels.max(axis=2) if self.sign > 0 else -channels.min(axis=2)
        known = ends if self._two is None else np.concatenate([self._two, ends])
        if len(known) > 2:
            known = np.partition(known, -2, axis=0)[-2:]
        self._two = np.sort(known, axis=0).astype(np.float64)

    @property
    def first(self) -> Array:
        """The largest value of every channel."""
        return np.zeros(0) if self._two is None else self._two[-1]

    @property
    def second(self) -> Array | None:
        """The largest of every channel in another frame; None if there is one alone."""
        return None if self._two is None or len(self._two) < 2 else self._two[0]

    @property
    def are_whole(self) -> bool:
        """Whether the peaks are integers."""
        return self._two is not None and are_whole(self._two)
