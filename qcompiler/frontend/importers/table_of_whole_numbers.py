"""Operators that the host computes in front of the network, and which nodes they are."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from qcompiler.frontend.importers.whole_numbers.functions import NAMES, function
from qcompiler.frontend.importers.whole_numbers.joined import concat, pad
from qcompiler.frontend.importers.whole_numbers.one_hot import one_hot
from qcompiler.frontend.importers.whole_numbers.sums import reduction, running_sum
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import are_cast, are_computed, are_given, are_whole
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Value
from qcompiler.ir.ann.integers import COMPARISONS

from .batch_places import Importer

_REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceSum")

# What computes with integers that the host knows in front of the network.
WHOLE_NUMBERS: Mapping[str, Importer] = {
    **dict.fromkeys(NAMES, function),
    "Cast": function,
    "Concat": concat,
    "CumSum": running_sum,
    "OneHot": one_hot,
    "Pad": pad,
    **dict.fromkeys(_REDUCTIONS, reduction),
}


def computes_whole_numbers(node: NodeContext) -> bool:
    """Whether a node computes with integers that the host knows in front of the network.

    They may be cast to real numbers to be compared. Real numbers themselves are only compared for
    equality, which no levels tell.
    """
    scope, word = node.scope, NAMES.get(node.op_type)
    items = [item for item in node.inputs if item is not None]
    if node.op_type == "Cast":
        to = node.integer("to", 0)
        return _narrows(node, to) or (to == TensorProto.BOOL and are_cast(scope, items))
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
    """Whether a cast to 32 bits cuts integers of 64 bits that the host has computed."""
    x = node.item(0)
    wide = isinstance(x, Value) and node.scope.kinds.get(x.name) == TensorProto.INT64
    return wide and to == TensorProto.INT32 and are_computed(node.scope, [x])


def _are_real(node: NodeContext) -> bool:
    """Whether operands are real numbers of inputs, and constants."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    real = all(value.name not in node.scope.kinds for value in values)
    return real and are_given(node.scope, node.inputs)
