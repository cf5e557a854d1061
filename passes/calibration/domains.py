"""Domains of functions and products: what calibration saw, and where the next value may lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qcompiler.ir import Node, Range, Value
from qcompiler.ir.ann import Function
from qcompiler.ir.ann.formula import values

from .histogram import Histogram

_FINER = 4  # times the levels, as segments seldom round their variable
_PLACES = 64  # between the last value that was seen and the next one
_FAINT = 1e-6  # of a range


def wider_domains(
    nodes: Sequence[Node],
    histograms: Mapping[str, Histogram],
    ranges: Mapping[str, Range],
    levels: int,
) -> dict[str, Range]:
    """The range of each operand of these nodes, extended where ``levels`` of it allow that.

    A function's result stays within its range of ``ranges``, so that no pole lies in a domain.
    """
    found: dict[str, Range] = {}
    for node in nodes:
        for x in (operand for operand in node.operands if isinstance(operand, Value)):
            seen = histograms[x.name]
            fine = _FINER if isinstance(node.op, Function) else 1
            low, high = found.get(x.name) or seen.extended(fine * levels)
            if isinstance(node.op, Function):
                result = ranges[node.result.name]
                low = _reached(node.op.formula, seen.low, low, result)
                high = _reached(node.op.formula, seen.high, high, result)
            found[x.name] = low, high
    return found


def _reached(formula: str, seen: float, end: float, result: Range) -> float:
    """How far from ``seen`` to ``end`` a function stays within the range of its result."""
    x = np.linspace(seen, end, _PLACES + 1)
    with np.errstate(all="ignore"):
        y = values(formula, x)
    faint = _FAINT * (result[1] - result[0])
    leaves = np.flatnonzero(~((y >= result[0] - faint) & (y <= result[1] + faint)))
    return float(x[max(0, leaves[0] - 1)]) if len(leaves) else end
