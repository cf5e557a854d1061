"""Importer of functions of integers that the host computes, element by element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.importers.elementwise.activations import spread
from qcompiler.frontend.importers.elementwise.casts import CASTS, cast_target
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import cast_bits, note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Constant, Value
from qcompiler.ir.ann import Integer
from qcompiler.ir.ann.integers import CONDITIONS, WORDS
from qcompiler.ir.kernels import Array

from .operands import is_integer, kind_of, takes_none, whole, wraps

NAMES = {
    "Abs": "abs",
    "Add": "add",
    "And": "and",
    "Clip": "max",
    "Div": "divide",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "greater",
    "LessOrEqual": "greater_equal",
    "Max": "max",
    "Min": "min",
    "Mod": "modulo",
    "Mul": "multiply",
    "Neg": "negate",
    "Not": "not",
    "Or": "or",
    "Sign": "sign",
    "Sub": "subtract",
    "Where": "where",
    "Xor": "xor",
}


def function(node: NodeContext) -> Value:
    """A function of integers, or a comparison of what is cast from them."""
    items, op_type = list(node.inputs), node.op_type
    if op_type in CASTS:
        to = cast_target(node)
        if to == TensorProto.BOOL:
            return _function(node, "nonzero", items[:1])
        return _narrowed(node, to)
    if op_type == "Clip":
        return _clip(node, items)
    if op_type in ("Div", "Mod"):
        _check_divisor(node)
    word = NAMES[op_type]
    if op_type == "Mod" and node.integer("fmod", 0):
        word = "remainder"
    if op_type in ("Less", "LessOrEqual"):
        items.reverse()
    while op_type in ("Max", "Min") and len(items) > 2:
        part = node.within(f"part{len(items)}")
        items[:2] = [_function(part, word, items[:2])]
    if op_type in ("Max", "Min") and len(items) == 1:
        return node.activation()
    return _function(node, word, items)


def _narrowed(node: NodeContext, to: int) -> Value:
    """Integers as such of a type that does not hold all of them."""
    x = whole(node, node.activation())
    return note_computed(node.scope, node.add(Integer("truncate", **wraps(to)), x), to)


def _clip(node: NodeContext, items: Sequence[AbstractValue]) -> Value:
    """The minimum is taken last, as in ONNX."""
    x, low, high = (*items, None, None)[:3]
    if low is not None:
        role = node if high is None else node.within("low")
        x = _function(role, "max", [x, low])
    if high is not None:
        x = _function(node, "min", [x, high])
    assert isinstance(x, Value)
    return x


def _check_divisor(node: NodeContext) -> None:
    divisor = node.item(1)
    if not isinstance(divisor, KnownArray):
        what = f"{node.op_type} of integers by one that depends on the data is not supported"
        raise Refused(what, "cast them to floating point first, and compute with real numbers")
    if not all(array.all() for array in divisor.arrays):
        raise InvalidNode("divides by 0")


def _function(node: NodeContext, word: str, items: Sequence[AbstractValue]) -> Value:
    """A word of the operands, spread to one shape."""
    if len(items) != WORDS[word][0] or None in items:
        raise InvalidNode(f"has {len(items)} inputs")
    rank = max(len(item.type.shape) for item in items if isinstance(item, Value))
    known = [per_sample(node, i, rank) if isinstance(i, KnownArray) else None for i in items]
    arrays = [array.shape for array in known if array is not None]
    shapes = [*arrays, *(item.type.shape for item in items if isinstance(item, Value))]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise InvalidNode(f"combines samples of shapes {shapes}") from error
    operands: list[Value | Constant] = []
    for index, (item, array) in enumerate(zip(items, known, strict=True)):
        if isinstance(item, Value):
            operands.append(spread(node, whole(node, item), shape))
        elif array is not None:
            dtype = np.float32 if array.dtype.kind == "f" else np.int64
            own = np.array(array, None if array.dtype == np.float64 else dtype)
            own.setflags(write=False)  # so that it is held once, whatever it spreads over
            wide = np.broadcast_to(own, shape)
            operands.append(node.scope.constant(f"{node.name}.operand{index}", wide))
    real = any(array is not None and array.dtype.kind == "f" for array in known)
    real = real or not all(is_integer(node, item) for item in items)
    if not real:
        _check_kinds(node, word, [kind_of(node, item) for item in items])
    kind = TensorProto.BOOL if word in CONDITIONS else kind_of(node, items[-1])
    how = {"bits": _real_bits(node, known, items)} if real else wraps(kind)
    made = Integer(word, real, **how)
    return note_computed(node.scope, node.add(made, *operands), kind)


def _real_bits(
    node: NodeContext, known: Sequence[Array | None], items: Sequence[AbstractValue]
) -> int:
    """The bits of the real numbers that are compared, or were rounded to before."""
    given = [8 * a.dtype.itemsize for a in known if a is not None and a.dtype.kind == "f"]
    values = (cast_bits(node.scope, item) for item in items if isinstance(item, Value))
    return min([*given, *(bits for bits in values if bits)], default=32)


def _check_kinds(node: NodeContext, word: str, kinds: Sequence[int]) -> None:
    """InvalidNode for operands of several types, or of one that a word does not take."""
    chosen = kinds[1:] if word == "where" else kinds
    logical = word in ("and", "not", "or", "xor")
    takes = logical == (kinds[0] == TensorProto.BOOL) or word in ("equal", "nonzero")
    takes = kinds[0] == TensorProto.BOOL if word == "where" else takes
    if len(set(chosen)) > 1 or not takes:
        raise takes_none(kinds)
