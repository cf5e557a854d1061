"""Levels, spike steps and real numbers: the code that all engines share."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode


def encode(op: Encode, x: Array) -> Array:
    """Real numbers to levels in ``0 .. t_max - 1``, as int64; see `Encode`."""
    rounded = x.astype(np.float32) * np.float32(1 / op.scale) + np.float32(op.zero + 0.5)
    levels: Array = np.clip(np.floor(rounded), 0, op.t_max - 1).astype(np.int64)
    return levels


def decode(code: Spikes, levels: Array) -> Array:
    """Levels to the real numbers they stand for, as float32."""
    return ((levels.astype(np.float64) - code.zero) * code.scale).astype(np.float32)


def step_of(code: Spikes, start: int, levels: Array) -> Array:
    """Levels to spike steps, and (being its own inverse) spike steps to levels."""
    steps: Array = start + code.top - levels
    return steps


def saturated(op: Encode, x: Array) -> int:
    """Number of inputs beyond the range of their code."""
    rounded = np.floor(x.astype(np.float32) * np.float32(1 / op.scale) + np.float32(op.zero + 0.5))
    return int(((rounded < 0) | (rounded > op.t_max - 1)).sum())
