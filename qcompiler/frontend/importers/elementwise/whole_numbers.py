"""Importers of arithmetic on integers of the inputs: the host does it in front of the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import are_cast, are_given, are_whole, note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Constant, Value
from qcompiler.ir.ann import CumSum, Integer
from qcompiler.ir.ann.integers import COMPARISONS, CONDITIONS, WORDS

from .activations import spread
from .one_hot import one_hot

_WORDS = {
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


def computes_whole_numbers(node: NodeContext) -> bool:
    """Whether a node computes with integers that the host knows in front of the network.

    They may be cast to real numbers to be compared. Real numbers themselves are only compared for
    equality, which no levels tell.
    """
    scope, word = node.scope, _WORDS.get(node.op_type)
    items = [item for item in node.inputs if item is not None]
    if node.op_type == "Cast":
        return node.integer("to", 0) == TensorProto.BOOL and are_cast(scope, items)
    if node.op_type == "CumSum":
        return are_whole(scope, items[:1])
    if node.op_type == "OneHot":
        return are_given(scope, items[:1])
    if word in COMPARISONS:
        return are_cast(scope, items) or (word == "equal" and _are_real(node))
    return word is not None and are_whole(scope, items)


def _are_real(node: NodeContext) -> bool:
    """Whether operands are real numbers of inputs, and constants."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    real = all(value.name not in node.scope.kinds for value in values)
    return real and are_given(node.scope, node.inputs)


def whole_numbers(node: NodeContext) -> Value:
    """A function of integers, element by element, their running sum, or their one-hot code."""
    items, op_type = list(node.inputs), node.op_type
    if op_type == "CumSum":
        return _cumsum(node)
    if op_type == "OneHot":
        return one_hot(node)
    if op_type == "Cast":
        return _function(node, "nonzero", items)
    if op_type == "Clip":
        return _clip(node, items)
    if op_type in ("Div", "Mod"):
        _check_divisor(node)
    word = _WORDS[op_type]
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


def _cumsum(node: NodeContext) -> Value:
    x, given = node.activation(), node.fixed_integer(1, "axis")
    if given is None:
        raise InvalidNode("has no axis")
    axis = axis_of(given, len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    ways = (bool(node.integer(name, 0)) for name in ("exclusive", "reverse"))
    return _noted(node, node.add(CumSum(axis, *ways), _whole(node, x)), _kind(node, x))


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
            operands.append(spread(node, _whole(node, item), shape))
        elif array is not None:
            dtype = np.float32 if array.dtype.kind == "f" else np.int64
            wide = np.broadcast_to(array, shape).astype(dtype)
            operands.append(node.scope.constant(f"{node.name}.operand{index}", wide))
    kind = TensorProto.BOOL if word in CONDITIONS else _kind(node, items[-1])
    bits = 32 if kind == TensorProto.INT32 else 64
    return _noted(node, node.add(Integer(word, bits), *operands), kind)


def _kind(node: NodeContext, item: AbstractValue) -> int:
    """The ONNX type of an operand."""
    if isinstance(item, Value):
        return node.scope.kinds[item.name]
    assert isinstance(item, KnownArray)
    return int(helper.np_dtype_to_tensor_dtype(item.arrays[0].dtype))


def _whole(node: NodeContext, value: Value) -> Value:
    """A value as integers: without fractions, if the model casts it from real numbers."""
    if value.name not in node.scope.truncated:
        return value
    return node.part("whole", Integer("truncate"), value)


def _noted(node: NodeContext, value: Value, kind: int) -> Value:
    note_computed(node.scope, value, kind)
    return value
