"""Real numbers, levels and spike steps: the code of `Spikes`, as all of ours compute it.

Codes round in single precision, after each operation, so that every engine encodes alike; see
`Encode`. The module that a program takes along says the same again, as it runs without this one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.types import Spikes


def affine(code: Spikes) -> tuple[Any, Any]:
    """Factor and summand, in single precision, of `scale_to_levels`."""
    return np.float32(1 / code.scale), np.float32(code.zero + 0.5)


def scale_to_levels(code: Spikes, x: Array) -> Array:
    """What real numbers are before they are rounded down and clipped to levels, as float32."""
    factor, summand = affine(code)
    found: Array = x.astype(np.float32, copy=False) * factor + summand
    return found


def encode(code: Spikes, x: Array) -> Array:
    """Real numbers to levels in ``0 .. t_max - 1``, as int64."""
    return clip_to_levels(code, scale_to_levels(code, x)).astype(np.int64)


def digit_of(op: Encode, levels: Array) -> Array:
    """The digit that an encoder sends of the levels of its whole code."""
    if op.digits == 1:
        return levels
    digit: Array = levels // np.uint16(op.place) % np.uint16(op.t_max)  # levels may be bytes
    return digit


def clip_to_levels(code: Spikes, quotient: Array) -> Array:
    """Real numbers of levels, rounded down and clipped to levels, in one byte or two each."""
    levels: Array = np.floor(quotient).clip(0, code.top)
    return levels.astype(np.uint8 if code.top < 256 else np.uint16)


def count_saturated(code: Spikes, x: Array) -> int:
    """Number of real numbers beyond the range of their code."""
    rounded = np.floor(scale_to_levels(code, x))
    return int(((rounded < 0) | (rounded > code.top)).sum())


def decode(code: Spikes, levels: Array, precision: Any = np.float64) -> Array:
    """Levels to the real numbers they stand for, computed in a precision, as float32."""
    shifted = levels.astype(precision) - precision(code.zero)
    real: Array = (shifted * precision(code.scale)).astype(np.float32, copy=False)
    return real


def step_of(code: Spikes, start: int, levels: Array) -> Array:
    """Levels to spike steps, and (being its own inverse) spike steps to levels."""
    steps: Array = start + code.top - levels
    return steps
