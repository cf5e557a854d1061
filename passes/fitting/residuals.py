"""What is missing of the sums of a layer, where clipping to levels does not hide it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir.kernels import Array

_AT_ONCE = 1 << 14  # numbers that stay in the cache


@dataclass(frozen=True)
class Residuals:
    """What sums, ``rows x outputs``, miss of their targets.

    Clipping removes differences below ``low`` and above ``high``, so these are not counted. ``gap``
    is what the first sums miss of clipped targets; ``free`` holds where targets are above ``low``,
    and where they are below ``high``. ``square`` is the mean square of all targets.
    """

    gap: Array
    free: tuple[Array, Array]
    square: float

    @classmethod
    def of(cls, first: Array, target: Array, low: float, high: float) -> Residuals:
        """Those of these first sums, and targets, whose memory is taken."""
        free, square = (target > low, target < high), float(np.vdot(target, target)) / target.size
        gap = np.clip(target, low, high, out=target)
        gap -= first
        return cls(gap, free, square)

    def of_rows(self, rows: slice) -> Residuals:
        """Those of some rows."""
        above, below = self.free
        return replace(self, gap=self.gap[rows], free=(above[rows], below[rows]))

    def of_outputs(self, which: Array) -> Residuals:
        """Those of some outputs; unlike those of an index, rows lie together."""
        gap, above, below = (np.compress(which, a, axis=1) for a in (self.gap, *self.free))
        return replace(self, gap=gap, free=(above, below))

    def missing(self, sums: Array, bias: Array) -> Array:
        """The residual after a change of the sums, and a bias of each output."""
        found = np.empty(self.gap.shape)
        for rows in self._blocks():
            self._write(found[rows], rows, sums, bias)
        return found

    def mean(self, sums: Array, bias: Array) -> Array:
        """The mean residual of each output."""
        rows, total = len(self.gap), np.zeros(self.gap.shape[1])
        found = np.empty((self._step, len(total)))
        for some in self._blocks():
            part = found[: rows - some.start]
            self._write(part, some, sums, bias)
            total += part.sum(axis=0)
        return total / rows

    @property
    def _step(self) -> int:
        rows, outputs = self.gap.shape
        return min(rows, max(1, _AT_ONCE // outputs))

    def _blocks(self) -> Iterator[slice]:
        rows = len(self.gap)
        yield from (slice(at, min(at + self._step, rows)) for at in range(0, rows, self._step))

    def _write(self, found: Array, rows: slice, sums: Array, bias: Array) -> None:
        """The residual of some rows, as it is where it is ``free``, or too high or low at all."""
        np.subtract(self.gap[rows], sums[rows], out=found)
        found -= bias
        counts = np.less(found, 0)
        counts |= self.free[0][rows]
        others = np.greater(found, 0)
        others |= self.free[1][rows]
        counts &= others
        found *= counts
