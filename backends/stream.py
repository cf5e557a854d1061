"""Frames as streams of steps: what sources send, and what populations have sent."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode

from .coding import encode
from .netlist import Group, Source


class Feed:
    """What a source sends when frames follow each other every ``interval`` steps.

    ``steps`` holds the steps of its spikes, ``frames x shape``, from each frame's start.
    """

    def __init__(self, source: Source, x: Array, interval: int) -> None:
        op = Encode(source.t_max, source.scale, source.zero, source.start)
        self.start, self.interval = source.start, interval
        self.steps: Array = source.start + source.t_max - 1 - encode(op, x)

    def at(self, now: int) -> Array:
        """Spikes that leave at a step of the run, one number 0.0 or 1.0 a neuron."""
        frame = (now - self.start) // self.interval
        if not 0 <= frame < len(self.steps):
            return np.zeros(self.steps[:1].size)
        leaves: Array = self.steps[frame].ravel() == now - frame * self.interval
        return leaves.astype(float)


class Tap:
    """Collects the spikes of a population; ``steps`` is ``frames x shape``, -1 without a spike."""

    def __init__(self, group: Group, frames: int, interval: int) -> None:
        self.group, self.interval = group, interval
        self.steps = np.full((frames, *group.shape), -1, np.int64)

    def take(self, spikes: Array, now: int) -> None:
        """Note the spikes of one step; ProgramError if one of these neurons has spiked before."""
        frame = (now - self.group.open) // self.interval
        if not 0 <= frame < len(self.steps):
            return
        steps, fired = self.steps[frame].reshape(-1), np.flatnonzero(spikes)
        if np.any(steps[fired] >= 0):
            raise ProgramError(f"a neuron of %{self.group.name} spikes twice in frame {frame}")
        steps[fired] = now - frame * self.interval
