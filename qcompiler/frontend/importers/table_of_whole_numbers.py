"""Operators that the host computes in front of the network, and which nodes they are."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from qcompiler.frontend.importers.elementwise.casts import CASTS, cast_target
from qcompiler.frontend.importers.whole_numbers.functions import NAMES, function
from qcompiler.frontend.importers.whole_numbers.joined import concat, pad
from qcompiler.frontend.importers.whole_numbers.one_hot import one_hot
from qcompiler.frontend.importers.whole_numbers.operands import holds
from qcompiler.frontend.importers.whole_numbers.sums import reduction, running_sum
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import are_cast, are_given, are_whole
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import INTEGERS
from qcompiler.ir import Value
from qcompiler.ir.ann.integers import COMPARISONS, CONDITIONS

from .batch_places import Importer

_REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceSum")

# What computes with integers that the host knows in front of the network.
WHOLE_NUMBERS: Mapping[str, Importer] = {
    **dict.fromkeys(NAMES, function),
    **dict.fromkeys(CASTS, function),
    "Concat": concat,
    "CumSum": running_sum,
    "OneHot": one_hot,
    "Pad": pad,
    **dict.fromkeys(_REDUCTIONS, reduction),
}


def gives_conditions(node: NodeContext) -> bool:
    """Whether a node compares, or is logic."""
    return NAMES.get(node.op_type) in CONDITIONS


def computes_whole_numbers(node: NodeContext) -> bool:
    """Whether a node computes with integers that the host knows in front of the network.

    They may be cast to real numbers to be compared. Real numbers themselves are only compared for
    equality, which no levels tell.
    """
    scope, word = node.scope, NAMES.get(node.op_type)
    items = [item for item in node.inputs if item is not None]
    if node.op_type in CASTS:
        to = cast_target(node)
        return _narrows(node, to) or (to == TensorProto.BOOL and are_cast(scope, items[:1]))
    if node.op_type == "Concat":
        joined = any(isinstance(item, KnownArray) for item in items)
        return joined and are_whole(scope, items)
    if node.op_type in ("CumSum", "Pad", *_REDUCTIONS):
        return are_whole(scope, items[:1])
    if node.op_type == "OneHot":
        return are_given(scope, items[:1])
    if word in COMPARISONS:
        return are_cast(scope, items) or (word == "equal" and _are_real(node))
    return word is not None and are_whole(scope, items)


def _narrows(node: NodeContext, to: int) -> bool:
    """Whether a cast is to a type that does not hold all integers of the operand's."""
    x = node.item(0)
    if to not in INTEGERS or not isinstance(x, Value) or x.name not in node.scope.kinds:
        return False
    return not holds(to, node.scope.kinds[x.name]) and are_whole(node.scope, [x])


def _are_real(node: NodeContext) -> bool:
    """Whether operands are real numbers of inputs, and constants."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    real = all(value.name not in node.scope.kinds for value in values)
    return real and are_given(node.scope, node.inputs)
