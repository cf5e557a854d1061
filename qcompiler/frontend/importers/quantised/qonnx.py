"""Importers of QONNX, as Brevitas exports it: Quant, BipolarQuant and Trunc.

They take and give real numbers. What their rounding does beyond rounding to nearest becomes a shift
of half a level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.integer_code import IntegerCode
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value

from .codes import coded

_MOST_BITS = 24
_NEARLY = 1e-5  # levels by which a rounding is shifted to decide ties
_ROUND = ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN")


def quant(node: NodeContext) -> Value | KnownArray:
    """Quant: clip to the integers of a width, round, and scale back."""
    bits = _bits(node, 3)
    signed, narrow = bool(node.integer("signed", 1)), bool(node.integer("narrow", 0))
    low = -(1 << (bits - 1)) + narrow if signed else 0
    high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1 - narrow
    code = IntegerCode(_number(node, 1, "scale"), _number(node, 2, "zero point"), low, high)
    return _rounded(node, code, node.text("rounding_mode", "ROUND"))


def bipolar_quant(node: NodeContext) -> Value | KnownArray:
    """BipolarQuant: the scale with the sign of the value, that of 0 is positive."""
    scale = _number(node, 1, "scale")
    item = node.item(0)
    if isinstance(item, KnownArray):
        return _each(node, item, lambda x: np.where(x >= 0, scale, -scale))
    code = IntegerCode(2 * scale, np.asarray(0.5), 0, 1)
    return coded(node, node.activation(), code, node.output, _NEARLY)


def trunc(node: NodeContext) -> Value | KnownArray:
    """Trunc: the higher bits of an integer, in the scale of the whole, or in one that is given."""
    before, after = _bits(node, 3), _bits(node, 5 if len(node.inputs) > 5 else 4)
    scale, zero = _number(node, 1, "scale"), _number(node, 2, "zero point")
    given = len(node.inputs) > 5  # the second version names the scale of the result
    wide = scale * 2.0 ** (before - after)
    result = _number(node, 4, "scale") if given else scale
    signed = bool(node.integer("signed", 0 if not given else 1))
    narrow = bool(node.integer("narrow", 0))
    low = -(1 << (after - 1)) + narrow if signed else 0
    high = (1 << (after - 1)) - 1 if signed else (1 << after) - 1 - narrow
    if zero.any():
        raise Refused("Trunc with a zero point is not supported")
    rounded = _rounded(node, IntegerCode(wide, zero, low, high), _mode(node))
    if np.array_equal(wide, result):
        return rounded
    return _times(node, rounded, result / wide)


def _mode(node: NodeContext) -> str:
    return node.text("rounding_mode", "FLOOR")


def _rounded(node: NodeContext, code: IntegerCode, mode: str) -> Value | KnownArray:
    if not (np.isfinite(code.scale).all() and (code.scale > 0).all()):
        raise InvalidNode("has a scale that is not positive and finite")
    item = node.item(0)
    if isinstance(item, KnownArray):
        return _each(node, item, lambda x: _round_constant(code, mode, x))
    name = f"{node.output}.rounded" if node.op_type.endswith("Trunc") else node.output
    return coded(node, node.activation(), code, name, _shift(node, code, mode))


def _shift(node: NodeContext, code: IntegerCode, mode: str) -> float:
    """Levels to add so that rounding to nearest does what a mode asks for."""
    mode = mode.upper()
    positive = bool((code.low >= code.zero).all())
    if mode in ("DOWN", "ROUND_TO_ZERO") and positive:
        mode = "FLOOR"
    if mode == "UP" and positive:
        mode = "CEIL"
    if mode in _ROUND:
        return 0.0
    if mode == "FLOOR":
        return _NEARLY - 0.5
    if mode == "CEIL":
        return 0.5 - _NEARLY
    raise Refused(f"{node.op_type} with rounding mode {mode} is not supported", "use ROUND")


def _round_constant(code: IntegerCode, mode: str, x: Array) -> Array:
    level = (x.astype(np.float64) / code.scale + code.zero).clip(code.low, code.high)
    rounds: dict[str, Callable[[Array], Array]] = {
        "FLOOR": np.floor,
        "CEIL": np.ceil,
        "DOWN": np.trunc,
        "ROUND_TO_ZERO": np.trunc,
    }
    return code.real(rounds.get(mode.upper(), np.rint)(level))


def _each(node: NodeContext, known: KnownArray, change: Callable[[Array], Array]) -> KnownArray:
    return known.changed(lambda array: np.asarray(change(array), np.float32), node.output)


def _times(node: NodeContext, found: Value | KnownArray, factor: Array) -> Value | KnownArray:
    if isinstance(found, KnownArray):
        return _each(node, found, lambda x: x * factor)
    rank = len(found.type.shape)
    array = factor[0] if factor.ndim > rank else factor
    return scaled_by(node, found, array.astype(np.float32).reshape(array.shape or (1,) * rank))


def _number(node: NodeContext, index: int, what: str) -> Array:
    """A scale or zero point: one number, or one a channel."""
    found = node.fixed(index, what)
    if found is None:
        raise InvalidNode(f"has no {what}")
    return found.astype(np.float64).reshape(() if found.size == 1 else found.shape)


def _bits(node: NodeContext, index: int) -> int:
    found = node.fixed(index, "bit width")
    if found is None or found.size != 1:
        raise Refused(f"{node.op_type} whose bit width is no single number is not supported")
    bits = float(found.reshape(()))
    if not (bits.is_integer() and 1 <= bits <= _MOST_BITS):
        raise Refused(f"{node.op_type} of {bits:g} bits is not supported")
    return int(bits)
