"""What is missing of the sums of a layer behind its clip to levels.

Weights and biases for which these residuals have no mean, and no product with any input, minimise

    E[integral of (clip(s) - clip(y)) ds]

over the sums s: a generalised linear model whose link is the clip. This is convex, as the clip
never falls. Least squares against the sums y of the real network where these are not clipped would
also count what the clip removes from s there, and bias the results upwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir.kernels import Array

_AT_ONCE = 64  # rows that stay in the cache; their number decides in which order sums add up


@dataclass(frozen=True)
class Residuals:
    """What sums, ``rows x outputs``, miss of their targets behind a clip to ``low .. high``.

    ``target`` holds the clipped targets, ``free`` the share of those of each output that the clip
    leaves as they are. ``square`` is the mean square of all targets.
    """

    first: Array
    target: Array
    low: float
    high: float
    free: Array
    square: float

    @classmethod
    def of(cls, first: Array, target: Array, low: float, high: float) -> Residuals:
        """Those of these first sums, and targets, whose memory is taken."""
        square = float(np.vdot(target, target)) / target.size
        free = np.mean((target > low) & (target < high), axis=0)
        return cls(first, np.clip(target, low, high, out=target), low, high, free, square)

    def of_rows(self, rows: slice) -> Residuals:
        """Those of some rows."""
        return replace(self, first=self.first[rows], target=self.target[rows])

    def of_outputs(self, which: Array) -> Residuals:
        """Those of some outputs; unlike those of an index, rows lie together."""
        first, target = (np.compress(which, a, axis=1) for a in (self.first, self.target))
        return replace(self, first=first, target=target, free=self.free[which])

    def missing(self, sums: Array, bias: Array) -> Array:
        """The residual after a change of the sums, and a bias of each output."""
        found = np.empty(self.first.shape)
        for rows, part in self._added(sums, bias):
            np.clip(part, self.low, self.high, out=part)
            np.subtract(self.target[rows], part, out=found[rows])
        return found

    def step(self, sums: Array, bias: Array) -> Array:
        """The mean residual over the share of sums that a bias changes: a step of Newton's method.

        At least as many count as of the targets, lest the step leads far beyond these.
        """
        mean, free = np.zeros((2, self.first.shape[1]))
        for some, part in self._added(sums, bias):
            free += ((part > self.low) & (part < self.high)).sum(axis=0)
            np.clip(part, self.low, self.high, out=part)
            mean += np.subtract(self.target[some], part, out=part).sum(axis=0)
        rows = max(1, len(self.first))
        found: Array = mean / rows / np.maximum(np.maximum(free / rows, self.free), 1 / rows)
        return found

    def _added(self, sums: Array, bias: Array) -> Iterator[tuple[slice, Array]]:
        """Sums with their bias, some rows after the other."""
        rows, outputs = self.first.shape
        spare = np.empty((min(_AT_ONCE, rows), outputs))
        for begin in range(0, rows, _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            part = spare[: rows - begin]
            np.add(self.first[some], sums[some], out=part)
            part += bias
            yield some, part
