"""Convert between real numbers, levels and spike steps: the code of `Spikes`.

Encoding rounds to single precision after each operation, so that all engines encode alike (see
`Encode`). The standalone module that is exported with a program repeats these formulas, because it
runs without this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir.graph import Node
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode, Encode
from qcompiler.ir.types import Spikes

_TABLE = 1 << 12  # levels of which a table of decoded numbers is made


class Rescaling(NamedTuple):
    """The offset and the factor of `Rescale`, which spread over a sample."""

    offset: Array
    factor: Array

    @staticmethod
    def of(node: Node) -> Rescaling | None:
        """What an `Encode` or `Decode` does to raw numbers, if anything."""
        arrays = node.arrays
        return Rescaling(*arrays) if arrays else None

    def apply(self, raw: Array) -> Array:
        """Raw numbers, rescaled."""
        found: Array = (raw - self.offset) * self.factor
        return found


def affine(code: Spikes, rescaling: Rescaling | None = None) -> tuple[Any, Any]:
    """Factor and summand of `scale_to_levels`, in single precision."""
    if rescaling is None:
        return np.float32(1 / code.scale), np.float32(code.zero + 0.5)
    factor = rescaling.factor.astype(np.float64) / code.scale
    return factor.astype(np.float32), np.float32(code.zero + 0.5)


def scale_to_levels(code: Spikes, x: Array, rescaling: Rescaling | None = None) -> Array:
    """Raw numbers in units of levels, before rounding down and clipping, as float32."""
    factor, summand = affine(code, rescaling)
    with np.errstate(over="ignore"):  # what is infinite is cut to the highest or lowest level
        x = x.astype(np.float32, copy=False)
        if rescaling is not None:
            x = x - rescaling.offset
        found: Array = x * factor + summand
    return found


def encode(code: Spikes, x: Array, rescaling: Rescaling | None = None) -> Array:
    """Raw numbers to levels in ``0 .. t_max - 1``, as int64."""
    return clip_to_levels(code, scale_to_levels(code, x, rescaling)).astype(np.int64)


def levels_sent(node: Node, x: Array) -> Array:
    """The levels, or the digits of them, that an encoder sends for raw numbers."""
    assert isinstance(node.op, Encode)
    code = node.op.code
    return digit_of(node.op, clip_to_levels(code, scale_to_levels(code, x, Rescaling.of(node))))


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


def count_saturated(code: Spikes, x: Array, rescaling: Rescaling | None = None) -> int:
    """Count the raw numbers outside the range of their code."""
    rounded = np.floor(scale_to_levels(code, x, rescaling))
    return int(((rounded < 0) | (rounded > code.top)).sum())


def decode(code: Spikes, levels: Array, precision: Any = np.float64) -> Array:
    """Levels to real numbers, computed in the given precision, as float32."""
    shifted = levels.astype(precision) - precision(code.zero)
    real: Array = (shifted * precision(code.scale)).astype(np.float32, copy=False)
    return real


def whole_levels(node: Node, *pieces: Array) -> Array:
    """The level that a `Decode` makes of the levels of its pieces."""
    assert isinstance(node.op, Decode)
    return _whole(node.op, code_of_output(node).top, *pieces)


def _whole(op: Decode, top: int, *pieces: Array) -> Array:
    if len(pieces) == 1:
        return pieces[0]
    total = sum(
        levels.astype(np.int64) * place for levels, place in zip(pieces, op.places, strict=True)
    )
    return np.minimum(total, top)


def code_of_output(node: Node) -> Spikes:
    """The code of what a `Decode` decodes, that of all its pieces together."""
    assert isinstance(node.op, Decode)
    return node.op.code(*(operand.type for operand in node.operands))


def table_of(node: Node) -> Array | None:
    """What a `Decode` gives for each level, if it has one piece of few levels."""
    return None if len(node.operands) > 1 else table_of_sum(node)


def table_of_sum(node: Node) -> Array | None:
    """The same for the sum of all pieces."""
    code, op = code_of_output(node), node.op
    assert isinstance(op, Decode)
    rescaled = Rescaling.of(node) is not None or len(node.operands) > len(op.places or (1,))
    return None if rescaled or code.top >= _TABLE else decode(code, np.arange(code.top + 1))


def decoder(node: Node) -> Callable[..., Array]:
    """What turns the levels of pieces into what a `Decode` gives.

    Computed in double precision, as float32.
    """
    code, rescaling, op = code_of_output(node), Rescaling.of(node), node.op
    assert isinstance(op, Decode)
    table = table_of(node)
    if table is not None:
        return lambda levels: table.take(levels.astype(np.intp, copy=False))

    def decoded(*pieces: Array) -> Array:
        levels = _whole(op, code.top, *pieces)
        if rescaling is None:
            return decode(code, levels)
        real = (levels.astype(np.float64) - code.zero) * code.scale  # of some engines, float32
        found: Array = ((real - rescaling.offset) * rescaling.factor).astype(np.float32)
        return found

    return decoded


def step_of(code: Spikes, start: int, levels: Array) -> Array:
    """Levels to the steps of their first spikes; -1 for a silent level."""
    steps: Array = start + code.top - levels
    return np.where(levels == 0, -1, steps) if code.coding != "one-spike" else steps


def level_of(code: Spikes, start: int, steps: Array) -> Array:
    """The steps of first spikes to levels; the inverse of `step_of`."""
    levels: Array = start + code.top - steps
    return np.where(steps < 0, 0, levels) if code.coding != "one-spike" else levels
