"""Convert between real numbers, levels and spike steps: the code of `Spikes`.

Encoding rounds to single precision after each operation, so that all engines encode alike (see
`Encode`). The standalone module that is exported with a program repeats these formulas, because it
runs without this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.types import Spikes


def affine(code: Spikes) -> tuple[Any, Any]:
    """Factor and offset of `scale_to_levels`, in single precision."""
    return np.float32(1 / code.scale), np.float32(code.zero + 0.5)


def scale_to_levels(code: Spikes, x: Array) -> Array:
    """Real numbers in units of levels, before rounding down and clipping, as float32."""
    factor, summand = affine(code)
    found: Array = x.astype(np.float32, copy=False) * factor + summand
    return found


def encode(code: Spikes, x: Array) -> Array:
    """Real numbers to levels in ``0 .. t_max - 1``, as int64."""
    return clip_to_levels(code, scale_to_levels(code, x)).astype(np.int64)


def digit_of(op: Encode, levels: Array) -> Array:
    """The digit of each level that an encoder sends."""
    if op.digits == 1:
        return levels
    digit: Array = levels // np.uint16(op.place) % np.uint16(op.t_max)  # levels may be bytes
    return digit


def clip_to_levels(code: Spikes, quotient: Array) -> Array:
    """Round down and clip numbers in units of levels; the result is uint8 or uint16."""
    levels: Array = np.floor(quotient).clip(0, code.top)
    return levels.astype(np.uint8 if code.top < 256 else np.uint16)


def count_saturated(code: Spikes, x: Array) -> int:
    """Count the real numbers outside the range of their code."""
    rounded = np.floor(scale_to_levels(code, x))
    return int(((rounded < 0) | (rounded > code.top)).sum())


def decode(code: Spikes, levels: Array, precision: Any = np.float64) -> Array:
    """Levels to real numbers, computed in the given precision, as float32."""
    shifted = levels.astype(precision) - precision(code.zero)
    real: Array = (shifted * precision(code.scale)).astype(np.float32, copy=False)
    return real


def step_of(code: Spikes, start: int, levels: Array) -> Array:
    """Levels to spike steps; the function is its own inverse."""
    steps: Array = start + code.top - levels
    return steps
