"""Importers of casts: between floating-point types, of integers to real numbers, and of indices."""

from __future__ import annotations

from onnx import TensorProto, helper

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import cast_bits
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_tensor import FLOATS, INTEGERS
from qcompiler.frontend.model.refusals import RAW_SCORES
from qcompiler.ir import Tensor, Value
from qcompiler.ir.ann import Function
from qcompiler.ir.ann.formula import compose
from qcompiler.ir.view import Reshape

from .conditions import is_whole
from .formulas import formulas

_CONVERSIONS = (
    "only conversions between floating-point types, of integers to wider or real numbers, and of "
    "indices are supported"
)
_BOOLEANS = (
    "compare with a number, as in x > 0.5; if scikit-learn divides probabilities by their sum, "
    + RAW_SCORES
)


CASTS = frozenset({"Cast", "CastLike"})
_BITS: dict[int, int] = {TensorProto.FLOAT16: 16, TensorProto.DOUBLE: 64}


def cast_target(node: NodeContext) -> int:
    """The type that Cast casts to, or CastLike as that of another value."""
    if node.op_type == "Cast":
        return node.integer("to", TensorProto.FLOAT)
    match node.item(1):
        case Value(type=Tensor(dtype="i64")):
            return TensorProto.INT64
        case Value() as value:
            return node.scope.kinds.get(value.name, TensorProto.FLOAT)
        case KnownArray(arrays=arrays):
            return int(helper.np_dtype_to_tensor_dtype(arrays[0].dtype))
    return TensorProto.FLOAT


def cast(node: NodeContext) -> Value:
    """Casts between floating-point types, of integers to real numbers, and of indices."""
    x, to = node.activation(), cast_target(node)
    assert isinstance(x.type, Tensor)
    kind = node.scope.kinds.get(x.name)
    if x.type.dtype == "i64" and to != TensorProto.BOOL and (to in FLOATS or to in INTEGERS):
        return x  # an index, which the host computes
    if to in FLOATS:
        bits = _BITS.get(to, 32)
        if kind is None and bits >= (cast_bits(node.scope, x) or 0):
            return x
        real = node.add(Reshape(x.type.shape), x)
        node.scope.reals[real.name] = bits
        return real
    if kind == to:
        return x
    found = None
    if kind is None and to in (TensorProto.INT32, TensorProto.INT64):
        found = node.add(Reshape(x.type.shape), x)
        node.scope.truncated.add(found.name)  # only encoders of categories may read it
    elif to == TensorProto.BOOL and is_whole(node, x):
        root, formula = formulas(node, x)
        found = node.add(Function(compose("x abs 0.5 >", formula)), root)
    elif kind is not None and _holds(to, kind):
        found = node.add(Reshape(x.type.shape), x)
    if found is not None:
        node.scope.kinds[found.name] = to
        return found
    name = TensorProto.DataType.Name(to).lower() if to in TensorProto.DataType.values() else to
    help_ = _BOOLEANS if to == TensorProto.BOOL else _CONVERSIONS
    raise Refused(f"{node.op_type} to {name} is not supported", help_)


def _holds(to: int, kind: int) -> bool:
    """Whether an integer type holds all numbers of another."""
    if to not in INTEGERS:
        return False
    (least, most), (low, high) = INTEGERS[to], INTEGERS[kind]
    return least <= low and high <= most
