"""Importers of what is known whatever it reads: constants and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import onnx

from qcompiler.frontend.model.constant_folding import KnownArray, merge
from qcompiler.frontend.model.node_context import attributes_of
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import repeats
from qcompiler.frontend.model.scope import AbstractValue, Scope, Shape
from qcompiler.ir import Tensor, Value
from qcompiler.ir.ann import Fill

ConstantImporter: TypeAlias = Callable[
    [Model, onnx.NodeProto, Sequence[AbstractValue], Scope], KnownArray
]

_KINDS: Mapping[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def constant(
    model: Model, node: onnx.NodeProto, inputs: Sequence[AbstractValue], scope: Scope
) -> KnownArray:
    """Constant, with any attribute but strings and sparse tensors."""
    if len(node.attribute) != 1:
        raise InvalidNode(f"has {len(node.attribute)} attributes")
    attribute = node.attribute[0]
    if attribute.name == "value":
        array = model.tensors.read(attribute.t)
    elif attribute.name in _KINDS:
        array = np.asarray(attributes_of(node)[attribute.name], _KINDS[attribute.name])
    else:
        raise Refused(f"Constant with {attribute.name} is not supported")
    return scope.known(array, node.output[0])


def shape(
    model: Model, node: onnx.NodeProto, inputs: Sequence[AbstractValue], scope: Scope
) -> KnownArray:
    """Shape, whole or from ``start`` to ``end``."""
    attributes = attributes_of(node)
    part = slice(attributes.get("start"), attributes.get("end"))
    shapes = _shapes(inputs, scope)
    return merge([np.asarray(full[part], np.int64) for full in shapes], node.output[0])


def size(
    model: Model, node: onnx.NodeProto, inputs: Sequence[AbstractValue], scope: Scope
) -> KnownArray:
    """Size: the number of elements."""
    shapes = _shapes(inputs, scope)
    return merge([np.asarray(prod(full), np.int64) for full in shapes], node.output[0])


def equal(
    model: Model, node: onnx.NodeProto, inputs: Sequence[AbstractValue], scope: Scope
) -> KnownArray:
    """Equal of constants; of the data and an infinite number it is false."""
    match inputs:
        case [KnownArray(arrays=first), KnownArray(arrays=second)]:
            pairs = zip(first, second, strict=True)
            return merge([np.equal(one, other) for one, other in pairs], node.output[0])
    shapes = [_broadcast(inputs, scope, probe) for probe in range(len(scope.probes))]
    return merge([np.broadcast_to(False, full) for full in shapes], node.output[0])


def cast_like(
    model: Model, node: onnx.NodeProto, inputs: Sequence[AbstractValue], scope: Scope
) -> KnownArray:
    """CastLike of a constant: to the type of another, or of what depends on the data."""
    known, like = inputs
    assert isinstance(known, KnownArray)
    if isinstance(like, KnownArray):
        kind = like.arrays[0].dtype
    elif isinstance(like, Value) and isinstance(like.type, Tensor) and like.type.dtype == "i64":
        kind = np.dtype(np.int64)
    else:
        name = like.name if isinstance(like, Value) else ""
        kind = onnx.helper.tensor_dtype_to_np_dtype(scope.kinds.get(name, onnx.TensorProto.FLOAT))
    return known.changed(lambda array: array.astype(kind), node.output[0])


def gives_constant(op_type: str, inputs: Sequence[AbstractValue]) -> bool:
    """Whether the result is known whatever the data are."""
    if op_type == "CastLike":
        return len(inputs) == 2 and isinstance(inputs[0], KnownArray)
    if op_type != "Equal":
        return op_type in CONSTANT_IMPORTERS
    known = [item.arrays[0] for item in inputs if isinstance(item, KnownArray)]
    if len(known) == len(inputs):
        return True
    return any(array.dtype.kind == "f" and not np.isfinite(array).any() for array in known)


def _broadcast(inputs: Sequence[AbstractValue], scope: Scope, probe: int) -> Shape:
    known = [item.arrays[probe].shape for item in inputs if isinstance(item, KnownArray)]
    given = [scope.full_shapes(item)[probe] for item in inputs if isinstance(item, Value)]
    return np.broadcast_shapes(*known, *given)


def never(
    model: Model, node: onnx.NodeProto, inputs: Sequence[AbstractValue], scope: Scope
) -> KnownArray:
    """IsNaN and IsInf: false, as what depends on the data is finite or refused."""
    match inputs:
        case [KnownArray(arrays=arrays)]:
            attributes = attributes_of(node)
            found = [_infinite(array, node.op_type, attributes) for array in arrays]
            return merge(found, node.output[0])
    shapes = _shapes(inputs, scope)
    return merge([np.broadcast_to(False, full) for full in shapes], node.output[0])


def _infinite(array: Array, op_type: str, attributes: Mapping[str, Any]) -> Array:
    if op_type == "IsNaN":
        return np.isnan(array)
    above = np.isposinf(array) & bool(attributes.get("detect_positive", 1))
    return above | (np.isneginf(array) & bool(attributes.get("detect_negative", 1)))


def _shapes(inputs: Sequence[AbstractValue], scope: Scope) -> Sequence[Shape]:
    match inputs:
        case [Value() as value]:
            return scope.full_shapes(value)
        case [KnownArray(arrays=arrays)]:
            return [array.shape for array in arrays]
    raise InvalidNode("takes one input")


def filled(scope: Scope, name: str, known: KnownArray, computed: Sequence[Value]) -> Value:
    """A constant output as a value; Refused if it is empty, samples differ, or all are constant."""
    if not known.arrays[0].size:
        raise Refused(f'the output "{name}" is empty', "leave it out of the model's outputs")
    if not computed:
        raise Refused(
            "no output of the model depends on its inputs",
            "look for the node that drops them with qcompile --check, which names the constants",
        )
    place = scope.placement(computed[0])
    array = known.fixed if place.at is None else _of_sample(scope, known)
    if array is None:
        raise Refused(f'the constant output "{name}" differs between samples of a batch')
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    if not np.isfinite(array).all():
        raise Refused(f'the constant output "{name}" holds NaN or infinite numbers')
    made = scope.constant(f"{name}.value", array)
    found = scope.builder.add(Fill(), computed[0], made, name=name)
    if place.at is None:
        scope.batch_axis[found.name] = place
    return found


def _of_sample(scope: Scope, known: KnownArray) -> Array | None:
    """What a constant gives for each sample: a row, or all of it if it has no batch axis."""
    array = known.arrays[0]
    pairs = list(zip(known.arrays, scope.probes, strict=True))
    if not all(one.ndim and len(one) == probe for one, probe in pairs):
        return known.fixed
    row: Array = array[0]
    return row if all(repeats(one, row) for one, _ in pairs) else None


CONSTANT_IMPORTERS: Mapping[str, ConstantImporter] = {
    "CastLike": cast_like,
    "Constant": constant,
    "Equal": equal,
    "IsInf": never,
    "IsNaN": never,
    "Shape": shape,
    "Size": size,
}
