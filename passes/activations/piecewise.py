"""What a piecewise linear function is: knots, the values there, and jumps beside the segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

SAMPLES = 2049  # of a domain
TAIL = 1 / 32  # of a domain, from which a flat end is one
_FLAT = 1e-6  # slopes below this share of the steepest are none


class Jump(NamedTuple):
    """A step by ``height``, written as a ramp from ``begin`` over ``width``.

    Or two, by ``middle`` and by the rest, a distance ``aside`` before and behind.
    """

    begin: float
    width: float
    height: float
    middle: float = 0.0
    aside: float = 0.0

    @property
    def steps(self) -> tuple[Jump, ...]:
        """One or two jumps of one step."""
        if not self.middle:
            return (self,)
        first = Jump(self.begin - self.aside, self.width, self.middle)
        return first, Jump(self.begin + self.aside, self.width, self.height - self.middle)


class PiecewiseLinear(NamedTuple):
    """Knots, the values there without all jumps, the largest error between them, and the jumps."""

    knots: Array
    values: Array
    error: float
    jumps: tuple[Jump, ...] = ()

    @property
    def steps(self) -> tuple[Jump, ...]:
        """All steps of the jumps."""
        return tuple(step for jump in self.jumps for step in jump.steps)

    @property
    def slopes(self) -> Array:
        """The slope of every segment; 0 for nearly flat ones."""
        found: Array = np.diff(self.values) / np.diff(self.knots)
        steep = np.abs(found) > _FLAT * np.abs(found).max()
        return np.where(steep, found, 0.0)
