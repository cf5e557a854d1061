"""Quantised values in real numbers.

What a quantised model rounds to integers is a clip whose result has the range and the levels of
the code. The integers themselves are an affine map of it, which is dropped where they are only
read back: `Scope.integers` notes which real value they stand for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.frontend.importers.views.reshape import with_placement
from qcompiler.frontend.model.integer_code import IntegerCode
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, ArgMax, Clip, Concat, MaxPool, Pad, Rescale, Softmax
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import View

_MOST_LEVELS = 1024  # codes with more levels only bound a value
_BOUNDS = {
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int2": (-2, 1),
    "uint2": (0, 3),
    "int32": (-(1 << 31), (1 << 31) - 1),
}


def code_of_type(dtype: str, scale: Array, zero: Array) -> IntegerCode:
    """The code of an integer type; Refused for types that are none."""
    if dtype in _BOUNDS:
        low, high = _BOUNDS[dtype]
    elif dtype in ("int8", "uint8", "int16", "uint16"):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    else:
        raise Refused(f"quantisation to {dtype} is not supported", "quantise to int8 or uint8")
    return IntegerCode(scale.astype(np.float64), zero.astype(np.float64), int(low), int(high))


def code_at(node: NodeContext, scale: int, zero: int, rank: int, axis: int = 1) -> IntegerCode:
    """The code whose scale and zero point are these inputs of a node.

    ``rank`` is that of what it codes, batch axis included; ``axis`` is where a vector lies.
    """
    given, shift = node.fixed(scale, "scale"), node.fixed(zero, "zero point")
    if given is None:
        raise InvalidNode("has no scale")
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise InvalidNode("has a scale that is not positive and finite")
    if shift is None:
        shift = np.zeros(given.shape, np.uint8)
    if shift.shape != given.shape and shift.size != given.size != 1:
        raise InvalidNode(f"has a scale of {given.shape} and a zero point of {shift.shape}")
    return code_of_type(
        shift.dtype.name, _spread(node, given, rank, axis), _spread(node, shift, rank, axis)
    )


def _spread(node: NodeContext, array: Array, rank: int, axis: int) -> Array:
    if array.size == 1:
        return array.reshape(())
    at = axis + rank if axis < 0 else axis
    if array.ndim > 1 or not 0 <= at < rank:
        raise Refused(
            f"{node.op_type} in blocks is not supported", "quantise per tensor or per channel"
        )
    return array.reshape(-1, *(1,) * (rank - 1 - at))


def quantized(node: NodeContext, x: Value, code: IntegerCode) -> Value:
    """The integers that a value is rounded to."""
    real = coded(node, x, code, node.output)
    levels = _affine(node, f"{node.output}:levels", real, 1 / code.scale, code.zero)
    ends = (float(code.low), float(code.high))
    levels = _typed(node, levels, ends, code.levels)
    node.scope.integers[levels.name] = real, code
    return _placed(node, x, levels)


def dequantized(node: NodeContext, q: Value, code: IntegerCode, name: str) -> Value:
    """What integers stand for."""
    if (real := _real(node, q, code, name)) is not None:
        return real
    return _placed(node, q, _affine(node, name, q, code.scale, -code.scale * code.zero))


def coded(node: NodeContext, x: Value, code: IntegerCode, name: str, shift: float = 0.0) -> Value:
    """A value rounded to the numbers of its code, after a shift by some levels.

    Behind what the host computes, nothing is rounded.
    """
    if _on_host(node, x):
        _check_probabilities(node, x, code)
        return x
    if code.uniform and float(code.zero).is_integer() and not shift:
        found = node.named(name, Clip(*code.bounds), x)
        return _placed(node, x, _typed(node, found, code.bounds, code.levels))
    units = _affine(node, f"{name}:units", x, 1 / code.scale, code.zero + shift)
    ends = (float(code.low), float(code.high))
    levels = _typed(node, node.named(f"{name}:codes", Clip(*ends), units), ends, code.levels)
    return _placed(node, x, _affine(node, name, levels, code.scale, -code.scale * code.zero))


def _affine(node: NodeContext, name: str, x: Value, scale: Array, shift: Array) -> Value:
    rank, host = len(x.type.shape), _on_host(node, x)
    parts = (("offset", -shift / scale), ("factor", scale))
    grown = (
        node.constant(f"{name}:{role}", _grown(node, array, rank))
        for role, array in (parts if host else (("scale", scale), ("shift", shift)))
    )
    return node.named(name, Rescale() if host else Affine(), x, *grown)


def _grown(node: NodeContext, array: Array, rank: int) -> Array:
    array = np.asarray(array, np.float64)
    if array.ndim > rank:
        if len(array) != 1:
            raise Refused(f"{node.op_type} with a scale for each sample is not supported")
        array = array[0]
    return expand_to_rank(array, rank).astype(np.float32)


def _typed(node: NodeContext, value: Value, ends: tuple[float, float], levels: int) -> Value:
    """The value that was appended last, with a range, and levels if they are not too many."""
    found = levels if levels <= _MOST_LEVELS else None
    return node.scope.builder.with_levels(value, ends, found)


def _placed(node: NodeContext, x: Value, found: Value) -> Value:
    return with_placement(node, found, node.placement(x))


def _real(node: NodeContext, q: Value, code: IntegerCode, name: str) -> Value | None:
    """The value that integers of this code stand for, behind what only moves them."""
    if (held := node.scope.integers.get(q.name)) is not None:
        return held[0] if held[1].same(code) else None
    if (made := node.scope.builder.producer(q)) is None or not code.uniform:
        return None
    op = made.op
    if isinstance(op, Pad):
        op = replace(op, value=_number(code, op.value))
    if isinstance(op, Clip):
        low, high = (None if end is None else _number(code, end) for end in (op.low, op.high))
        op = Clip(low, high)
    if not isinstance(op, Pad | Clip | MaxPool | Concat | View):
        return None
    operands = []
    for index, operand in enumerate(made.operands):
        found = (
            _real(node, operand, code, f"{name}.{index}") if isinstance(operand, Value) else operand
        )
        if found is None:
            return None
        operands.append(found)
    return _placed(node, q, node.named(name, op, *operands))


def _number(code: IntegerCode, integer: float) -> float:
    scale, zero = float(code.scale.reshape(())), float(code.zero.reshape(()))
    return scale * (integer - zero)


def _on_host(node: NodeContext, x: Value) -> bool:
    return _made_on_host(node, x) is not None


def _made_on_host(node: NodeContext, x: Value) -> Softmax | ArgMax | None:
    made = node.scope.builder.producer(x)
    while made is not None and isinstance(made.op, View | Rescale):
        first = made.operands[0]
        made = node.scope.builder.producer(first) if isinstance(first, Value) else None
    return made.op if made is not None and isinstance(made.op, Softmax | ArgMax) else None


def _check_probabilities(node: NodeContext, x: Value, code: IntegerCode) -> None:
    """Refused if a code does not reach the numbers of a softmax: the host does not cut them."""
    softmax = _made_on_host(node, x)
    if not isinstance(softmax, Softmax):
        return
    low, high = (code.scale * (end - code.zero) for end in (code.low, code.high))
    reach = 0.0 if softmax.log else 1.0
    within = np.all(high >= reach - 1.01 * code.scale)
    if not within or not (softmax.log or np.all(low <= 1.01 * code.scale)):
        raise Refused(
            f"the code of probabilities ends at {float(high.min()):.4g}, where it saturates",
            f"quantise them with a scale of {1 / code.levels:.4g}, or end the model at the softmax",
        )
