"""Numbers that lie on a grid, such as multiples of 0.1: levels can hold them exactly."""

from __future__ import annotations

from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Range
from qcompiler.ir.ann import Function
from qcompiler.ir.ann.formula import JUMPS
from qcompiler.ir.kernels import Array

_MOST = 1024  # different numbers
_FEW = 1 << 10  # numbers that are looked at first
_FAINT = 1e-5  # of the largest number, below which a remainder is the error of single precision
_OFF = 1e-3  # of a step, within which single precision puts a multiple of it


class Grid(NamedTuple):
    """Numbers ``low + k step`` for k from 0 to ``span``; ``low`` is a multiple of ``step``."""

    low: float
    step: float
    span: int

    def bounds(self, levels: int) -> Range:
        """The range in which each of the numbers is one of so many levels."""
        return self.low, self.low + self.step * (levels - 1)


def grid_of(array: Array, fractions: bool) -> Grid | None:
    """The grid of an array of integers, or also of ``fractions``; None for other arrays.

    Constant arrays have none.
    """
    if are_whole(array):
        low, high = float(array.min()), float(array.max())
        return Grid(low, 1.0, int(high) - int(low)) if low < high else None
    if not fractions:
        return None
    numbers = np.unique(array).astype(np.float64)
    if not 1 < len(numbers) <= _MOST:
        return None
    largest = float(np.abs(numbers).max())
    step = reduce(partial(_common_part, faint=_FAINT * largest), np.abs(numbers).tolist())
    if numbers[-1] - numbers[0] > _MOST * step:
        return None
    places = np.rint(numbers / step)
    step = float(numbers @ places / (places @ places))  # of the least squared error
    if np.abs(numbers / step - places).max() > _OFF:
        return None
    return Grid(float(places[0]) * step, step, int(places[-1] - places[0]))


def are_whole(array: Array) -> bool:
    """Whether all numbers are integers; the first few tell of most arrays that they are not."""
    if array.dtype.kind in "iub":
        return True
    parts = array.reshape(-1)[:_FEW], array
    return all(bool((part == np.rint(part)).all()) for part in parts)


def _common_part(a: float, b: float, faint: float) -> float:
    """The largest number of which both are multiples, by Euclid's algorithm."""
    while b > faint:
        a, b = b, abs(a - round(a / b) * b)
    return a


def chooses(graph: Graph) -> bool:
    """Whether a function of a graph rounds or compares, so that it may matter to be exact."""
    functions = (node.op for node in graph.nodes if isinstance(node.op, Function))
    return any(JUMPS & {*op.formula.split()} for op in functions)
