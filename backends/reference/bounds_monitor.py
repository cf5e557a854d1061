"""Calibrated bounds at run time: which frames keep to them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Window
from qcompiler.ir.spiking.input_bounds import Bounds


class BoundsMonitor:
    """Follows what inputs do to a population, and notes the frames in which it is too much.

    ``beyond`` holds a truth value a frame. Within the bounds everything is as if proved.
    """

    def __init__(self, bounds: Bounds, window: Window, shape: tuple[int, ...]) -> None:
        self.bounds, self.window = bounds, window
        self.current, self.membrane = np.zeros(shape), np.zeros(shape)
        self.exceeded = np.zeros(shape[0], bool)

    def observe(self, step: int, arrived: Array | float) -> None:
        """Note what arrives at a step; in order of steps, up to the one before the read step."""
        if step >= self.window.read:
            return
        bounds = self.bounds
        self.current += arrived
        self._check(arrived, bounds.fall, bounds.rise)
        if step >= self.window.open:
            self.membrane += self.current
            self._check(self.membrane, bounds.lowest, bounds.highest)
        if step == self.window.read - 1:
            self._check(self.membrane, bounds.final, bounds.highest)
            self._check(self.current, bounds.least, bounds.most)

    def _check(self, found: Array | float, low: Array, high: Array) -> None:
        out = np.asarray((found < low) | (found > high))
        if out.any():  # rest is always within, so this has an axis of frames
            self.exceeded |= out.reshape(len(self.exceeded), -1).any(axis=1)
