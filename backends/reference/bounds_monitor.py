"""Monitors at run time whether frames stay within calibrated bounds."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Window
from qcompiler.ir.spiking.input_bounds import Bounds


class BoundsMonitor:
    """Tracks the input of a population and marks the frames in which it exceeds its bounds.

    Neurons keep their currents until the next frame, or forget them at once.
    ``exceeded`` has one boolean per frame. Frames within the bounds are as safe as proven ones.
    """

    def __init__(
        self, bounds: Bounds, window: Window, shape: tuple[int, ...], keeps_currents: bool
    ) -> None:
        self.bounds, self.window, self.keeps_currents = bounds, window, keeps_currents
        self.current, self.membrane = np.zeros(shape), np.zeros(shape)
        self.exceeded = np.zeros(shape[0], bool)

    def observe(self, step: int, arrived: Array | float) -> None:
        """Check the input of one step, in order of steps; ignores the read step and later ones."""
        if step >= self.window.read:
            return
        bounds = self.bounds
        if self.keeps_currents:
            self.current += arrived
            self._check(arrived, bounds.fall, bounds.rise)
        else:
            self.current = 0 * self.current + arrived
            self._check(self.current, bounds.weakest, bounds.strongest)
        if step >= self.window.open:
            self.membrane += self.current
            self._check(self.membrane, bounds.lowest, bounds.highest)
        if step == self.window.read - 1:
            self._check(self.membrane, bounds.final, bounds.highest)
            if self.keeps_currents:
                self._check(self.current, bounds.least, bounds.most)

    def _check(self, found: Array | float, low: Array, high: Array) -> None:
        out = np.asarray((found < low) | (found > high))
        if out.any():  # the resting state is always within bounds, so this has a frame axis
            self.exceeded |= out.reshape(len(self.exceeded), -1).any(axis=1)
