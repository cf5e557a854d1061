"""Operands of arithmetic on integers."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorProto, helper

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value
from qcompiler.ir.ann import Integer


def kind_of(node: NodeContext, item: AbstractValue) -> int:
    """The ONNX type of an operand."""
    if isinstance(item, Value):
        return node.scope.kinds[item.name]
    assert isinstance(item, KnownArray)
    return int(helper.np_dtype_to_tensor_dtype(item.arrays[0].dtype))


def check_alike(kinds: Sequence[int]) -> None:
    """InvalidNode for operands of several types."""
    if len(set(kinds)) > 1:
        raise takes_none(kinds)


def takes_none(kinds: Sequence[int]) -> InvalidNode:
    """What is wrong with operands of some types."""
    names = (TensorProto.DataType.Name(kind).lower() for kind in kinds)
    return InvalidNode(f"takes no operands of {', '.join(names)}")


def is_integer(node: NodeContext, item: AbstractValue) -> bool:
    """Whether an operand is of integers or booleans, not cast to real numbers."""
    if isinstance(item, Value):
        return item.name in node.scope.kinds
    return isinstance(item, KnownArray) and item.arrays[0].dtype.kind in "iub"


def bits_of(kind: int) -> int:
    """The bits of an integer type, as far as results wrap around."""
    return 32 if kind == TensorProto.INT32 else 64


def whole(node: NodeContext, value: Value) -> Value:
    """A value as integers: without fractions, if the model casts it from real numbers."""
    if value.name not in node.scope.truncated:
        return value
    return node.part("whole", Integer("truncate"), value)
