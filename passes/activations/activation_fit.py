"""The fit of a function as it is told, and the ranges that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Diagnostic, InvalidGraph, Node, Operand, Range, Tensor
from qcompiler.ir.ann import Function
from qcompiler.ir.ann.formula import values
from qcompiler.ir.kernels import Array

from .continuous_fit import MOST_SEGMENTS

_NEAR, _PLACES = 1e-12, 500  # of a domain: how near its ends a function is looked at, and where
_FLAT = 0.01  # of what a function spans
_PART = 1 / 64  # of a domain
_LEAST_GAIN = 1e-6  # by the largest: no channel is nothing


class ActivationFit(NamedTuple):
    """The piecewise linear fit of a function: domain, segments and largest error.

    ``error`` and ``bound`` are shares of the output's range, or, of a ``factor``, of the range of
    its products. The error exceeds the bound if the
    most segments are too few, or weights too small for narrower ones. ``steps`` are jumps of the
    function beside the segments, ``jump`` is the error where it is nearly a jump; 0 if it is not.
    """

    node: Node
    domain: Range
    segments: int
    error: float
    bound: float
    steps: int = 0
    jump: float = 0.0
    factor: bool = False

    @property
    def whole(self) -> str:
        """What errors are shares of."""
        return "the range of its products" if self.factor else "the output range"

    @property
    def misses(self) -> bool:
        """Whether the error exceeds the bound."""
        return self.error > self.bound * (1 + 1e-6)

    @property
    def lacks_bits(self) -> bool:
        """Whether weights are what allows no more segments, not their number."""
        return self.segments < MOST_SEGMENTS

    @property
    def changing(self) -> Range | None:
        """Where the function changes, if that is a small part of the domain: elsewhere it is flat.

        No segments follow it there: weights that reach as far as the domain are not as steep.
        """
        assert isinstance(self.node.op, Function)
        (low, high), shares = self.domain, np.geomspace(_NEAR, 1, _PLACES)
        x = np.sort(np.concatenate([low + (high - low) * shares, high - (high - low) * shares]))
        with np.errstate(all="ignore"):
            y = values(self.node.op.formula, x)
        if not np.isfinite(y).all():
            return None
        limit = _FLAT * np.ptp(y)
        first = int(np.argmax(np.abs(y - y[0]) > limit))
        last = len(x) - 1 - int(np.argmax(np.abs(y - y[-1])[::-1] > limit))
        narrow = 0 < x[last] - x[first] < _PART * (high - low)
        return (float(x[first]), float(x[last])) if narrow else None

    @property
    def obstacle(self) -> str:
        """Why there are not more segments."""
        if self.lacks_bits:
            return "weights of so few bits hold no steeper ones"
        return "this is the largest number of segments"


def range_of(operand: Operand, node: Node) -> Range:
    """The range of an operand of a node, at least a little wide; InvalidGraph if it has none."""
    bounds = operand.type.range if isinstance(operand.type, Tensor) else None
    if bounds is None:
        message = f"%{operand.name} has no range"
        help_ = "put what makes it before normalize, and that before lower-activations, in --passes"
        raise InvalidGraph(Diagnostic(message, node.origin, help_))
    low, high = bounds
    narrow = 1e-6 * max(abs(low), abs(high))
    half = max(0.5, narrow / 2)
    return (low, high) if high - low > narrow else (low - half, low + half)


def power_of(gains: Sequence[Array]) -> float:
    """Root of the mean square of the gain of a function; 1 if it has none."""
    return float(np.sqrt(np.mean(np.square(gains)))) if gains else 1.0


def gains_of(node: Node) -> tuple[Array, Array]:
    """The magnitude of the gain of each channel of a function, or one for all, and the shifts."""
    if not node.arrays:
        return np.ones(1), np.zeros(1)
    gain = np.atleast_1d(np.abs(node.arrays[0]))
    rows = gain.reshape(len(gain), -1).max(axis=1)
    shifts = node.arrays[1].reshape(-1) if len(node.arrays) > 1 else np.zeros(1)
    return np.maximum(rows, _LEAST_GAIN * (rows.max() or 1.0)), shifts


def width_of(node: Node) -> float:
    """The width of the range of a result."""
    low, high = range_of(node.result, node)
    return high - low
