"""Membranes of a population up to its read step, where none may pass the threshold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import Bounds

from .paths import EventPath, Left

_EXACT = 1 << 23  # below it float32 holds integers, and rounds no quotient of them to another one


class Integration:
    """The synaptic part of membranes.

    ``limits`` are the thresholds at each step from open to read, less what clocks add; ``bounds``
    the calibrated bounds, if any. Where there are none and the weights prove that no inputs pass a
    limit, the sum over spikes is all there is to do. Else currents and membranes change step by
    step, and every change is checked: at every step against the least of the limits. ``scale`` is
    the size of numbers to come.
    """

    def __init__(
        self,
        paths: Sequence[EventPath],
        limits: Sequence[Array],
        bounds: Bounds | None,
        persistent: bool,
        scale: float,
    ) -> None:
        self.paths, self.bounds, self.persistent = paths, bounds, persistent
        self.limit = reduce(np.minimum, limits, np.array(np.inf))
        up, down = (total_of(path.most(sign) for path in paths) for sign in (1, -1))
        proved = not limits or (bounds is None and bool(np.all(up <= self.limit)))
        self.steps = 0 if proved else len(limits)  # that are looked at one by one
        largest = scale + max(float(np.max(up)), float(np.max(down)))
        self.kind = np.float32 if largest < _EXACT else np.float64
        for path in paths:
            path.prepare(self.kind)

    def __call__(self, spikes: Left) -> tuple[Array, Array]:
        """Membranes before the read step, ``frames x shape``, and which frames break a limit."""
        if not self.steps:
            total = total_of(path.membranes(spikes) for path in self.paths)
            return total, np.zeros(len(total), bool)
        return self._step_by_step(total_of(path.arrivals(spikes) for path in self.paths))

    def _step_by_step(self, changes: Array) -> tuple[Array, Array]:
        """``changes`` of currents, ``steps x frames x shape``; they become membranes."""
        broken, bounds = np.zeros(changes.shape[1], bool), self.bounds
        if bounds is not None and self.persistent:
            broken |= _outside(changes, bounds.fall, bounds.rise)
        currents = _summed(changes)
        if bounds is not None:
            limits = (bounds.least, bounds.most) if self.persistent else bounds[-2:]
            broken |= _outside(currents[-1:] if self.persistent else currents, *limits)
        membranes = _summed(currents)
        if bounds is None:
            broken |= _outside(membranes, None, self.limit)
        else:
            broken |= _outside(membranes, bounds.lowest, np.minimum(bounds.highest, self.limit))
            broken |= _outside(membranes[-1:], bounds.final, bounds.highest)
        return membranes[-1], broken


def total_of(arrays: Iterable[Array]) -> Array:
    """The sum of at least one array."""
    return reduce(np.add, arrays)


def _summed(steps: Array) -> Array:
    """Sums of all steps so far, in place."""
    for before, step in pairwise(steps):
        step += before
    return steps


def _outside(found: Array, low: Array | None, high: Array) -> Array:
    """Which frames of ``steps x frames x shape`` have a number outside."""
    out = found.max(axis=0) > high
    if low is not None:
        out |= found.min(axis=0) < low
    if not out.any():  # as a rule
        return np.zeros(len(out), bool)
    result: Array = out.reshape(len(out), -1).any(axis=1)
    return result
