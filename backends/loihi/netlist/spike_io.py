"""Input spikes and recorded spikes of frames that follow each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .netlist import Population, Source


def encode_levels(source: Source, x: Any) -> Any:
    """Levels of real inputs, or one digit of them: ``frames x shape``, int64."""
    factor = np.float32(1 / source.scale)
    with np.errstate(over="ignore"):  # what is infinite is cut to the highest or lowest level
        x = np.asarray(x).astype(np.float32)
        if source.factor is not None:
            x = x - source.offset
            factor = (source.factor.astype(np.float64) / source.scale).astype(np.float32)
        rounded = np.floor(x * factor + np.float32(source.zero + 0.5))
    whole = np.clip(rounded, 0, source.t_max**source.digits - 1).astype(np.int64)
    return whole // source.t_max**source.digit % source.t_max


class NetworkError(Exception):
    """The inputs do not fit the network, or a neuron spikes where it must not."""


class InputEncoder:
    """Encodes frames as the spikes of one input; a frame starts every ``interval`` steps.

    ``steps`` holds spike steps from the start of each frame, ``frames x shape``. The last frame is
    repeated until the run ends: the clock keeps ticking, and without input spikes the first layers
    would disturb the layers that still compute. Raises NetworkError for data that do not fit.
    """

    def __init__(self, source: Source, x: Any, interval: int) -> None:
        shape = np.shape(x)[1:]
        if [n for n in shape if n != 1] != [n for n in source.shape if n != 1]:
            raise NetworkError(f"{source.input} takes frames of shape {source.shape}, not {shape}")
        x = np.reshape(x, (len(x), *source.shape))
        if np.asarray(x).dtype.kind not in "uibf" or not np.isfinite(x).all():
            raise NetworkError(
                f"the data for {source.input} contain NaN, infinite or non-real values"
            )
        self.source, self.interval = source, interval
        levels = encode_levels(source, x)
        self.steps = source.start + source.t_max - 1 - levels
        if source.coding == "marker":
            self.steps[:] = source.start + source.t_max - 1
        if source.coding != "one-spike":
            self.steps[levels == 0] = -1

    def spikes_at(self, now: int) -> Any:
        """Spikes at a step of the run: 0.0 or 1.0 per neuron, flat."""
        frame = (now - self.source.start) // self.interval
        if frame < 0:
            return np.zeros(self.steps[:1].size)
        sent, step = (
            self.steps[min(frame, len(self.steps) - 1)].ravel(),
            now - frame * self.interval,
        )
        if self.source.coding != "burst":
            return (sent == step).astype(float)
        last = self.source.start + self.source.t_max - 2
        return ((sent >= 0) & (sent <= step) & (step <= last)).astype(float)

    def spike_train(self, begin: int, end: int) -> Any:
        """Spikes at the steps ``begin`` to ``end - 1`` of the run, ``neurons x steps``."""
        return np.stack([self.spikes_at(now) for now in range(begin, end)], axis=-1)


class SpikeRecorder:
    """Records spikes of a population, of a burst the first; ``steps`` is ``frames x shape``.

    A step of -1 stands for no spike.
    """

    def __init__(self, group: Population, frames: int, interval: int) -> None:
        self.group, self.interval = group, interval
        self.steps = np.full((frames, *group.shape), -1, np.int64)

    def record(self, spikes: Any, now: int) -> None:
        """Record the spikes of one step.

        Raises NetworkError if a neuron spikes twice in a frame, or if a burst does not last exactly
        until the end of its window.
        """
        frame = (now - self.group.open) // self.interval
        if not 0 <= frame < len(self.steps):
            return
        steps, step = self.steps[frame].reshape(-1), now - frame * self.interval
        spiking, before = np.asarray(spikes).ravel() > 0, steps >= 0
        goes_on = self.group.coding == "burst" and step < self.group.close
        if np.any(spiking[before] != goes_on):
            what = "a burst breaks off" if goes_on else "a neuron spikes again"
            raise NetworkError(f"{what} in {self.group.name}, frame {frame}")
        steps[spiking & ~before] = step
