"""What goes into a network and what comes out when frames follow each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Population, Source


def encode_levels(source: Source, x: Any) -> Any:
    """Real numbers to a source's levels, or digits of them, ``frames x shape``, as int64."""
    x = np.asarray(x).astype(np.float32)
    rounded = np.floor(x * np.float32(1 / source.scale) + np.float32(source.zero + 0.5))
    whole = np.clip(rounded, 0, source.t_max**source.digits - 1).astype(np.int64)
    return whole // source.t_max**source.digit % source.t_max


class NetworkError(Exception):
    """The network does not do what it was compiled to do, or was given what does not fit."""


class InputEncoder:
    """What a source sends when frames follow each other every ``interval`` steps.

    ``steps`` holds the steps of its spikes, ``frames x shape``, from each frame's start. The last
    frame is sent over and over: clocks tick on, and without the spikes that they count on, the
    first layers would disturb what is still under way behind them.
    """

    def __init__(self, source: Source, x: Any, interval: int) -> None:
        shape = np.shape(x)[1:]
        if [n for n in shape if n != 1] != [n for n in source.shape if n != 1]:
            raise NetworkError(f"{source.input} takes frames of {source.shape}, not {shape}")
        x = np.reshape(x, (len(x), *source.shape))
        if np.asarray(x).dtype.kind not in "uibf" or not np.isfinite(x).all():
            raise NetworkError(f"the data for {source.input} hold other than finite real numbers")
        self.start, self.interval = source.start, interval
        self.steps = source.start + source.t_max - 1 - encode_levels(source, x)

    def spikes_at(self, now: int) -> Any:
        """Spikes that leave at a step of the run, one number 0.0 or 1.0 a neuron."""
        frame = (now - self.start) // self.interval
        if frame < 0:
            return np.zeros(self.steps[:1].size)
        sent = self.steps[min(frame, len(self.steps) - 1)]
        return (sent.ravel() == now - frame * self.interval).astype(float)

    def spike_train(self, begin: int, end: int) -> Any:
        """Spikes that leave at steps of the run, ``neurons x steps``."""
        return np.stack([self.spikes_at(now) for now in range(begin, end)], axis=-1)


class SpikeRecorder:
    """Collects the spikes of a population; ``steps`` is ``frames x shape``, -1 without a spike."""

    def __init__(self, group: Population, frames: int, interval: int) -> None:
        self.group, self.interval = group, interval
        self.steps = np.full((frames, *group.shape), -1, np.int64)

    def record(self, spikes: Any, now: int) -> None:
        """Note the spikes of one step; NetworkError if one of the neurons has spiked before."""
        frame = (now - self.group.open) // self.interval
        if not 0 <= frame < len(self.steps):
            return
        steps, fired = self.steps[frame].reshape(-1), np.flatnonzero(spikes)
        if np.any(steps[fired] >= 0):
            raise NetworkError(f"a neuron of {self.group.name} spikes twice in frame {frame}")
        steps[fired] = now - frame * self.interval
