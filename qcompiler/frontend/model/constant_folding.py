"""Values that are known while compiling: weights, and arithmetic on shapes.

The size of a batch is not known, but exporters compute with it (``Shape``, ``Gather``, ``Concat``,
``Reshape``). So every known value is held as it is for each of a few probes: batch sizes that no
constant of a model is likely to meet. What is the same for all of them is a constant.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnx.shape_inference
from onnx import helper, numpy_helper

from .onnx_tensor import Array

LIMIT = 1 << 28  # elements of an array that is computed
PROBES = (23, 29)

INLINE = 1 << 16  # elements; larger arrays do not tell shapes

# What is computed of known values: deterministic, and without loops in Python.
_EVALUATED = """
    Abs Add And BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Clip Compress Concat
    ConstantOfShape Cos CumSum DequantizeLinear Div Equal Exp Expand EyeLike Flatten Floor Gather
    GatherElements GatherND Gemm Greater GreaterOrEqual Less LessOrEqual Log MatMul Max Mean Min
    Mod Mul Neg NonZero Not OneHot Or Pad Pow QuantizeLinear Range Reciprocal ReduceL1 ReduceL2
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round
    ScatterElements ScatterND Sigmoid Sign Sin Slice Softmax Split Sqrt Squeeze Sub Sum Tanh Tile
    Transpose Trilu Unique Unsqueeze Where Xor
"""
EVALUATED = frozenset(_EVALUATED.split())
_SHRINKING = frozenset({"Compress", "NonZero", "Unique"})  # sizes depend on the data


class TooLarge(Exception):
    """A node would compute an array beyond the limit."""


@dataclass(frozen=True, eq=False)
class KnownArray:
    """A value under each probe, and the name it has in the model."""

    arrays: tuple[Array, ...]
    name: str

    @property
    def fixed(self) -> Array | None:
        """The array, if it does not depend on the size of the batch."""
        return self.arrays[0] if all(a is self.arrays[0] for a in self.arrays) else None


def merge(arrays: Sequence[Array], name: str) -> KnownArray:
    """A known value; arrays that are equal become one."""
    first = arrays[0]
    same = all(a.dtype == first.dtype and np.array_equal(a, first) for a in arrays[1:])
    return KnownArray((first,) * len(arrays) if same else tuple(arrays), name)


def compute(
    node: onnx.NodeProto, opset: int, inputs: Sequence[KnownArray | None], probes: int
) -> tuple[KnownArray, ...]:
    """The outputs of a node whose inputs are all known.

    Raises TooLarge, or whatever the reference evaluator raises for a node that makes no sense.
    """
    once = all(known is None or known.fixed is not None for known in inputs)
    found: list[list[Array]] = []
    for probe in range(1 if once else probes):
        feeds = {
            name: known.arrays[probe]
            for name, known in zip(node.input, inputs, strict=True)
            if known is not None
        }
        found.append(_run(node, opset, feeds))
    results = zip((name for name in node.output if name), *found, strict=True)
    return tuple(
        KnownArray((arrays[0],) * probes, name) if once else merge(arrays, name)
        for name, *arrays in results
    )


def _run(node: onnx.NodeProto, opset: int, feeds: dict[str, Array]) -> list[Array]:
    if node.op_type == "Range":  # for which ONNX's own functions give vectors of one number
        feeds = {
            name: array.reshape(()) if array.size == 1 else array for name, array in feeds.items()
        }
    _check_size(node, opset, feeds)
    model = model_of_node(node, opset, feeds, {})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        results: Any = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
    return [np.asarray(result) for result in results]


def _check_size(node: onnx.NodeProto, opset: int, feeds: dict[str, Array]) -> None:
    if node.op_type in _SHRINKING:
        return
    inline = {name: a for name, a in feeds.items() if a.size <= INLINE and a.dtype.kind != "O"}
    model = model_of_node(node, opset, {n: a for n, a in feeds.items() if n not in inline}, inline)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    for output in inferred.graph.output:
        shape = output.type.tensor_type.shape
        if not output.type.tensor_type.HasField("shape") or not all(
            dim.HasField("dim_value") for dim in shape.dim
        ):
            raise TooLarge
        if prod(max(1, dim.dim_value) for dim in shape.dim) > LIMIT:
            raise TooLarge


def model_of_node(
    node: onnx.NodeProto, opset: int, given: dict[str, Array], inline: dict[str, Array]
) -> onnx.ModelProto:
    """A model of one node; ``inline`` arrays are written into it."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in given.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    initializers = [numpy_helper.from_array(a, name) for name, a in inline.items()]
    graph = helper.make_graph([node], "node", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
