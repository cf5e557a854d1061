"""The fit of a function as it is told, and the ranges that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Diagnostic, InvalidGraph, Node, Operand, Range, Tensor
from qcompiler.ir.kernels import Array

from .continuous_fit import MOST_SEGMENTS

_LEAST_GAIN = 1e-6  # by the largest: no channel is nothing


class ActivationFit(NamedTuple):
    """The piecewise linear fit of a function: domain, segments and largest error.

    ``error`` and ``bound`` are shares of the output's range. The error exceeds the bound if the
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

    @property
    def misses(self) -> bool:
        """Whether the error exceeds the bound."""
        return self.error > self.bound * (1 + 1e-6)

    @property
    def lacks_bits(self) -> bool:
        """Whether weights are what allows no more segments, not their number."""
        return self.segments < MOST_SEGMENTS

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
        raise InvalidGraph(
            Diagnostic(message, node.origin, "put normalize before lower-activations in --passes")
        )
    low, high = bounds
    return (low, high) if high - low > 1e-6 * max(1.0, abs(low)) else (low - 0.5, low + 0.5)


def power_of(gains: Sequence[Array]) -> float:
    """Root of the mean square of the gain of a function; 1 if it has none."""
    return float(np.sqrt(np.mean(np.square(gains)))) if gains else 1.0


def gains_of(node: Node) -> tuple[Array, Array]:
    """The magnitude of the gain of each channel of a function, or one for all, and the shifts."""
    if not node.arrays:
        return np.ones(1), np.zeros(1)
    rows = np.abs(node.arrays[0]).reshape(len(node.arrays[0]), -1).max(axis=1)
    shifts = node.arrays[1].reshape(-1) if len(node.arrays) > 1 else np.zeros(1)
    return np.maximum(rows, _LEAST_GAIN * (rows.max() or 1.0)), shifts


def width_of(node: Node) -> float:
    """The width of the range of a result."""
    low, high = range_of(node.result, node)
    return high - low
