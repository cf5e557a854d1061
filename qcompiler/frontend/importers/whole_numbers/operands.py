"""Operands of arithmetic on integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import cast_bits
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
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


def wraps(kind: int) -> dict[str, Any]:
    """How results of an integer type wrap around; Refused for one that the host has not."""
    if kind == TensorProto.UINT64:
        raise Refused("arithmetic on uint64 is not supported", "cast it to int64 first")
    if kind == TensorProto.BOOL:
        return {}
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return {"bits": 8 * dtype.itemsize, "signed": dtype.kind == "i"}


def holds(kind: int, other: int) -> bool:
    """Whether an integer type holds all numbers of another."""
    if TensorProto.BOOL in (kind, other):
        return other == TensorProto.BOOL
    one, two = (np.iinfo(helper.tensor_dtype_to_np_dtype(k)) for k in (kind, other))
    return one.min <= two.min and two.max <= one.max


def whole(node: NodeContext, value: Value) -> Value:
    """A value as integers: without fractions, if the model casts it from real numbers."""
    if value.name not in node.scope.truncated:
        return value
    bits = cast_bits(node.scope, value) or 32
    return node.part("whole", Integer("truncate", True, bits=bits), value)
