"""What the host computes in front of the network: whole numbers, of inputs that hold them.

Such a value is a tensor like any other; what reads it as real numbers reads what is fed of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from onnx import TensorProto

from qcompiler.ir import Node, Tensor, Value
from qcompiler.ir.ann import Concat, Feed, Integer
from qcompiler.ir.view import Reshape, View

from .constant_folding import KnownArray
from .scope import AbstractValue, Scope

# Of more numbers than a code holds.
_WIDE = (TensorProto.INT32, TensorProto.INT64, TensorProto.UINT32, TensorProto.UINT64)
_FLAG = Tensor((), range=(0.0, 1.0))


def is_given(scope: Scope, value: Value) -> bool:
    """Whether the host knows a value before the network runs: an input, or what it makes of one."""
    if value.name not in scope.given:
        made = scope.builder.producer(value)
        moved = made is None or isinstance(made.op, View | Concat)
        sources = _sources(made) if made else []
        scope.given[value.name] = moved and all(is_given(scope, one) for one in sources)
        is_computed(scope, value)  # while its sources are known: chains of views are long
    return scope.given[value.name]


def is_computed(scope: Scope, value: Value) -> bool:
    """Whether a value holds numbers that the host computes."""
    if value.name not in scope.computed:
        made = scope.builder.producer(value)
        sources = _sources(made) if made and isinstance(made.op, View | Concat) else []
        scope.computed[value.name] = any(is_computed(scope, one) for one in sources)
    return scope.computed[value.name]


def are_given(scope: Scope, items: Sequence[AbstractValue]) -> bool:
    """Whether operands are values that the host knows, and constants."""
    values = [item for item in items if isinstance(item, Value)]
    known = sum(isinstance(item, KnownArray) for item in items)
    return len(values) + known == len(items) and all(is_given(scope, one) for one in values)


def are_whole(scope: Scope, items: Sequence[AbstractValue]) -> bool:
    """Whether operands are given integers, some of them wide or computed, and constants."""
    known = [item for item in items if isinstance(item, KnownArray)]
    whole = all(array.dtype.kind in "iub" for item in known for array in item.arrays)
    values = (item for item in items if isinstance(item, Value))
    return whole and all(v.name in scope.kinds for v in values) and are_cast(scope, items)


def are_cast(scope: Scope, items: Sequence[AbstractValue]) -> bool:
    """The same for operands that may be cast to real numbers, and constants that may be real."""
    values = [item for item in items if isinstance(item, Value)]
    kinds = [_kind(scope, value) for value in values]
    wide = any(kind in _WIDE for kind in kinds) or any(is_computed(scope, v) for v in values)
    return wide and None not in kinds and are_given(scope, items)


def _kind(scope: Scope, value: Value) -> int | None:
    """The type of the integers that a value is, or is cast from; None for real numbers."""
    if (kind := scope.kinds.get(value.name)) is not None:
        return kind
    made = scope.builder.producer(value)
    if made is None or not isinstance(made.op, View | Concat):
        return None
    kinds = [_kind(scope, source) for source in _sources(made)]
    return None if None in kinds else kinds[0]


def _sources(made: Node) -> list[Value]:
    return [operand for operand in made.operands if isinstance(operand, Value)]


def cast_bits(scope: Scope, value: Value) -> int | None:
    """The bits of the real numbers that a value holds, if it is cast from integers."""
    while (bits := scope.reals.get(value.name)) is None:
        made = scope.builder.producer(value)
        if value.name in scope.kinds and value.name not in scope.truncated:
            return None
        if made is None or not isinstance(made.op, View | Concat):
            return None
        value = _sources(made)[0]
    return bits


def note_moved(scope: Scope, results: Iterable[AbstractValue]) -> None:
    """Remember the types of integers that a node has only moved."""
    for result in results:
        if not isinstance(result, Value) or not is_given(scope, result):
            continue
        if (kind := _kind(scope, result)) is not None:
            scope.kinds[result.name] = kind


def note_computed(scope: Scope, value: Value, kind: int) -> Value:
    """Remember that the host computes a value, of integers of a type; returns it."""
    scope.given[value.name] = scope.computed[value.name] = True
    scope.kinds[value.name] = kind
    return value


def fed(scope: Scope, value: Value) -> Value:
    """A value as the network reads it: an input of it, if the host has computed the value.

    What only moves or casts the numbers that were computed, the network does behind the input.
    """
    waiting = [(value, False)]
    while waiting:
        one, ready = waiting.pop()
        if one.name in scope.fed or not is_computed(scope, one):
            continue
        made = scope.builder.producer(one)
        assert made is not None
        if ready or not isinstance(made.op, View | Concat):
            scope.fed[one.name] = _fed(scope, one, made)
        else:
            waiting += [(one, True), *((source, False) for source in _sources(made))]
    return scope.fed.get(value.name, value)


def _fed(scope: Scope, value: Value, made: Node) -> Value:
    """The same of a value whose sources are fed."""
    name, kind = f"{value.name}.fed", scope.kinds.get(value.name)
    if isinstance(made.op, View | Concat):
        operands = (scope.fed.get(operand.name, operand) for operand in made.operands)
        found = scope.builder.add(made.op, *operands, name=name, origin=made.origin)
    else:
        like = _FLAG if kind == TensorProto.BOOL else _chosen(made)
        found = _input(scope, value, made.origin, like)
    if kind is not None:
        scope.kinds[found.name] = kind
    if value.name in scope.batch_axis:
        scope.batch_axis[found.name] = scope.batch_axis[value.name]
    return found


def _chosen(made: Node) -> Tensor | None:
    """A type with the range of the constants that an operation chooses from, if it does."""
    chooses = isinstance(made.op, Integer) and made.op.word == "where"
    if not chooses or len(made.arrays) < 2 or not isinstance(made.operands[0], Value):
        return None
    low, high = (float(found) for found in (np.min(made.arrays), np.max(made.arrays)))
    return Tensor((), range=(low, high)) if low < high else None


def _input(scope: Scope, value: Value, origin: tuple[str, ...], like: Tensor | None) -> Value:
    """An input of the network that the host computes; one number is a vector of one on the way."""
    add, name = scope.builder.add, f"{value.name}.fed"
    if value.type.shape:
        return add(Feed(), value, name=name, origin=origin, like=like)
    vector = add(Reshape((1,)), value, name=f"{value.name}.vector", origin=origin)
    found = add(Feed(), vector, name=name, origin=origin, like=like)
    return add(Reshape(()), found, name=f"{name}.number", origin=origin)
