"""What ONNX tells of the type of a value that is not computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
import onnx.shape_inference
from onnx import TensorProto, helper

from .folding_limits import INLINE
from .onnx_tensor import Array
from .operands import missing_operand
from .single_node import node_model

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)

_KINDS = frozenset(helper.get_all_tensor_dtypes())
_MOST_AXES, _MOST_ELEMENTS = 32, 1 << 48  # of a placeholder in numpy


@dataclass(frozen=True)
class TensorType:
    """The ONNX type of elements, and for each axis its length or the name that stands there."""

    kind: int
    axes: tuple[int | str, ...]

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape, if every length is known and an array can have it."""
        found = tuple(axis for axis in self.axes if isinstance(axis, int) and axis >= 0)
        sensible = len(found) <= _MOST_AXES and prod(found) <= _MOST_ELEMENTS
        return found if len(found) == len(self.axes) and sensible else None


def declared_type(value: onnx.ValueInfoProto) -> TensorType | None:
    """The type that a model or an inference gives a value; None if it gives none of a tensor."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or tensor.elem_type not in _KINDS:
        return None
    axes = (d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim)
    return TensorType(tensor.elem_type, tuple(axes))


def placeholder(kind: int, shape: tuple[int, ...]) -> Array:
    """An array that has a type and a shape, and takes no memory; all real numbers are float32."""
    dtype = np.float32 if kind in FLOATS else helper.tensor_dtype_to_np_dtype(kind)
    return np.broadcast_to(np.zeros((), dtype), shape)


def infer_types(
    node: onnx.NodeProto, opset: int, operands: Mapping[str, Array]
) -> dict[str, TensorType]:
    """Types of a node's results as far as ONNX infers them; only small arrays tell it values."""
    if node.domain not in ("", "ai.onnx"):
        return {}
    # onnx ends the process for some operators on strings, or without an operand
    if (any(node.input) and not operands) or missing_operand(node, opset) is not None:
        return {}
    small = {n: a for n, a in operands.items() if a.size <= INLINE and all(a.strides)}
    inline = {n: a.astype(np.float32) if a.dtype.kind == "f" else a for n, a in small.items()}
    rest = {n: _without_memory(a) for n, a in operands.items() if n not in small}
    try:
        graph = onnx.shape_inference.infer_shapes(node_model(node, opset, rest, inline)).graph
    except Exception:  # whatever onnx finds wrong with the node
        return {}
    found = {value.name: declared_type(value) for value in graph.output}
    return {name: type_ for name, type_ in found.items() if type_ is not None}


def _without_memory(array: Array) -> Array:
    return placeholder(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
