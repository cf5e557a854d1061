"""First spikes of a population: the steps at which its membranes pass the threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array


class Stretch(NamedTuple):
    """Steps in a row at which each neuron's membrane rises by the same ``push``."""

    start: int
    steps: int
    push: Array


def stretches(start: int, pushes: Sequence[Array]) -> Iterator[Stretch]:
    """Pushes of one step each, put together where they are equal."""
    begin = 0
    for at in range(1, len(pushes) + 1):
        if at == len(pushes) or not np.array_equal(pushes[at], pushes[begin]):
            yield Stretch(start + begin, at - begin, pushes[begin])
            begin = at


class Firing:
    """Membranes from the read step on, where nothing but clocks and currents moves them.

    Within a stretch a membrane moves evenly, so one division finds the step of its spike.
    ``pushes`` move it, one a step, from ``start`` up to the step before ``close``.
    """

    def __init__(self, start: int, pushes: Sequence[Array], threshold: int, slope: Array) -> None:
        self.stretches = list(stretches(start, pushes))
        self.close = start + len(pushes)
        self.threshold, self.slope = threshold, slope
        self.most = self.threshold + 1 + slope

    def __call__(self, membrane: Array) -> tuple[Array, Array]:
        """Steps left from first spikes to close, and how many neurons of each frame saturate.

        0 are left where no neuron spikes before close. ``membrane`` is that before the first step;
        it changes to that before close.
        """
        kind, frames = membrane.dtype.type, len(membrane)
        step = np.full(membrane.shape, self.close, kind)
        saturated = np.zeros(frames, np.int64)
        for index, (start, steps, push) in enumerate(self.stretches):
            first = push.astype(kind)
            after = None if steps == 1 else _steps_until(self.threshold - membrane, first)
            membrane += first if steps == 1 else steps * first
            if after is None:
                np.copyto(step, start, where=(membrane > self.threshold) & (step > start))
            else:
                after += start - 1
                np.minimum(step, after, out=step, where=after < start + steps)
            if index == 0:
                beyond = self._beyond(membrane, (steps - 1) * first)
                if beyond.any():
                    saturated = np.count_nonzero(beyond.reshape(frames, -1), axis=1)
        np.subtract(self.close, step, out=step)
        return step.astype(np.float32, copy=False), saturated

    def _beyond(self, membrane: Array, risen: Array) -> Array:
        """Which neurons spike at the first step with a slope to spare."""
        found: Array = membrane >= (self.most + risen).astype(membrane.dtype)
        return found


def _steps_until(room: Array, push: Array) -> Array:
    """The first k from 1 on with ``k push > room``; infinite if there is none."""
    rising = push > 0
    if rising.all():
        room /= push
        np.floor(room, out=room)
        room += 1
        return np.maximum(room, 1, out=room)
    found: Array = np.maximum(np.floor(room / np.where(rising, push, 1)) + 1, 1)
    return np.where(rising, found, np.where(push > room, 1, np.inf).astype(room.dtype))
