"""Bounds of every tensor from the weights alone, by interval arithmetic.

Bounds are kept per channel: a convolution's bound is ``sum(max(w, 0) high + min(w, 0) low) + b``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Range, Tensor, Value
from qcompiler.ir.ann import (
    Add,
    Affine,
    Clip,
    Concat,
    Conv,
    Dense,
    Function,
    MaxPool,
    Multiply,
    Pad,
    Softmax,
    SumPool,
)
from qcompiler.ir.ann.formula import values
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import LARGEST_REAL
from qcompiler.ir.view import View, arrange
from qcompiler.passes.folding.linear import by_group

Bounds = tuple[Array, Array]

_SAMPLES = 257


def interval_ranges(graph: Graph, given: Range) -> dict[str, Range]:
    """Range of every value, if every input lies in its own range, or else in the given one."""
    known: dict[str, Bounds] = {}
    for value in graph.inputs:
        assert isinstance(value.type, Tensor)
        ends = value.type.range or given
        low, high = (np.full((1,) * len(value.type.shape), end, np.float64) for end in ends)
        known[value.name] = (low, high)
    for node in graph.nodes:
        sources = [operand for operand in node.operands if isinstance(operand, Value)]
        reaches = [known[source.name] for source in sources if source.name in known]
        if len(reaches) < max(1, len(sources)):
            continue
        bounds = _joined(node, reaches) if len(sources) > 1 else _bounds(node, *reaches[0])
        if bounds is not None:
            known[node.result.name] = bounds
    return {n: (_held(low.min(), -1), _held(high.max(), 1)) for n, (low, high) in known.items()}


def _held(end: float, sign: int) -> float:
    """An end that types hold; a function that is not finite there is told when it is fitted."""
    return float(np.clip(np.nan_to_num(end, nan=sign * LARGEST_REAL), -LARGEST_REAL, LARGEST_REAL))


def _joined(node: Node, reaches: list[Bounds]) -> Bounds | None:
    """Bounds of what reads several values."""
    match node.op:
        case Add():
            lows, highs = zip(*reaches, strict=True)
            return sum(lows), sum(highs)
        case Multiply():
            ((first, second), (bottom, top)) = reaches
            products = (first * bottom, first * top, second * bottom, second * top)
            return _gained(
                (reduce(np.minimum, products), reduce(np.maximum, products)), node.arrays
            )
        case Concat(axis):
            shapes = [operand.type.shape for operand in node.operands]
            low, high = (
                [np.broadcast_to(end, shape) for end, shape in zip(ends, shapes, strict=True)]
                for ends in zip(*reaches, strict=True)
            )
            return np.concatenate(low, axis), np.concatenate(high, axis)
    return None


def _bounds(node: Node, low: Array, high: Array) -> Bounds | None:
    shape = node.operands[0].type.shape
    constants = [operand.data for operand in node.operands if isinstance(operand, Constant)]
    match node.op:
        case Conv() as op:
            return _conv(op, constants[0], constants[1], *_channels(low, high, shape))
        case Dense():
            flat = (np.broadcast_to(end, shape).reshape(-1) for end in (low, high))
            return _product(constants[0], constants[1], *flat)
        case Affine():
            ends = (low * constants[0] + constants[1], high * constants[0] + constants[1])
            return np.minimum(*ends), np.maximum(*ends)
        case Clip() as op:
            return apply(op, low), apply(op, high)
        case Function(formula):
            return _gained(_image(formula, low, high), constants)
        case MaxPool():
            return _per_channel(*_channels(low, high, shape), len(shape))
        case SumPool() as op:
            size = float(np.prod(op.kernel))
            low, high = _per_channel(*_channels(low, high, shape), len(shape))
            return _padded(low * size, high * size, any(op.pads) or None)
        case Softmax() as op:
            widest = float(high.max() - low.min()) + np.log(shape[op.axis])
            bottom, top = (-widest, 0.0) if op.log else (0.0, 1.0)
            ones = np.ones((1,) * len(shape))
            return bottom * ones, top * ones
        case Pad() as op:
            low, high = low.min(keepdims=True), high.max(keepdims=True)
            return np.minimum(low, op.value), np.maximum(high, op.value)
        case op if isinstance(op, View):
            if low.size == high.size == 1:
                rank = (1,) * len(node.result.type.shape)
                return low.reshape(rank), high.reshape(rank)
            spread = (np.broadcast_to(end, shape)[None] for end in (low, high))
            first, second = (arrange(op, end, *node.arrays)[0] for end in spread)
            return first, second
        case _:
            return None


def _image(formula: str, low: Array, high: Array) -> Bounds:
    """What a function of one variable makes of an interval, by sampling."""
    shares = np.linspace(0, 1, _SAMPLES).reshape(-1, *(1,) * low.ndim)
    found = values(formula, low + shares * (high - low))
    return found.min(axis=0), found.max(axis=0)


def _gained(bounds: Bounds, gains: Sequence[Array]) -> Bounds:
    """Bounds times a gain, plus a shift, if there are any."""
    ends = [end * gain for end in bounds for gain in gains[:1]] or bounds
    shift = sum(gains[1:])
    return np.minimum(*ends) + shift, np.maximum(*ends) + shift


def _channels(low: Array, high: Array, shape: tuple[int, ...]) -> Bounds:
    space = tuple(range(1, len(shape)))
    ends = low.min(axis=space), high.max(axis=space)
    return np.broadcast_to(ends[0], shape[:1]), np.broadcast_to(ends[1], shape[:1])


def _per_channel(low: Array, high: Array, rank: int) -> Bounds:
    axes = (-1, *(1,) * (rank - 1))
    return low.reshape(axes), high.reshape(axes)


def _padded(low: Array, high: Array, padded: bool | None) -> Bounds:
    return (np.minimum(low, 0), np.maximum(high, 0)) if padded else (low, high)


def _conv(op: Conv, weight: Array, bias: Array, low: Array, high: Array) -> Bounds:
    low, high = _padded(low, high, any(op.pads))
    lows, highs = (by_group(end, weight, op) for end in (low, high))
    excite = np.maximum(weight, 0).sum(axis=tuple(range(2, weight.ndim)), dtype=np.float64)
    inhibit = np.minimum(weight, 0).sum(axis=tuple(range(2, weight.ndim)), dtype=np.float64)
    smallest = (excite * lows + inhibit * highs).sum(axis=1)
    largest = (excite * highs + inhibit * lows).sum(axis=1)
    bottom, top = _per_channel(smallest, largest, weight.ndim - 1)
    return bottom + bias, top + bias


def _product(weight: Array, bias: Array, low: Array, high: Array) -> Bounds:
    excite, inhibit = np.maximum(weight, 0), np.minimum(weight, 0)
    return excite @ low + inhibit @ high + bias, excite @ high + inhibit @ low + bias
