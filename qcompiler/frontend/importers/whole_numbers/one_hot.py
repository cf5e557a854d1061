"""Importer of OneHot: of indices that the host knows, it computes the code."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.importers.elementwise.activations import spread
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.in_front import are_given, fed, note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, Integer
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape

from .operands import whole

_MOST = 1 << 16
_COMPUTE = "cut the model before this node, and compute it on the decoded outputs"


def one_hot(node: NodeContext) -> Value:
    """OneHot of given indices; those beyond the depth have none, negative ones count from it."""
    if not are_given(node.scope, node.inputs[:1]):
        raise Refused("OneHot of what the network computes is not supported", _COMPUTE)
    length, values = node.fixed(1, "depth"), node.fixed(2, "values")
    if length is None or length.size != 1 or values is None or values.shape != (2,):
        raise InvalidNode("has no depth, or no pair of values")
    depth = int(length.reshape(-1)[0])
    if not 0 < depth <= _MOST:
        raise InvalidNode(f"has depth {depth}, not 1 to {_MOST}")
    x, places = whole(node, node.activation()), np.arange(depth)
    rank = len(x.type.shape) + 1
    axis = axis_of(node.integer("axis", -1), rank + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    shape = (*x.type.shape[:axis], 1, *x.type.shape[axis:])
    x = node.part("column", Reshape(shape), x)
    wide = (*shape[:axis], depth, *shape[axis + 1 :])
    x = spread(node, x, wide)
    turned = places.reshape(-1, *(1,) * (len(wide) - axis - 1))
    found = [_equal(node, x, at) for at in (turned, turned - depth)]
    code = node.part("code", Integer("or"), *found)
    return _with_values(node, note_computed(node.scope, code, TensorProto.BOOL), values)


def _equal(node: NodeContext, x: Value, places: Array) -> Value:
    wide = np.broadcast_to(places, x.type.shape).astype(np.int64)
    return node.part("place", Integer("equal"), x, node.scope.constant(f"{node.name}.places", wide))


def _with_values(node: NodeContext, code: Value, values: Array) -> Value:
    """The code with the values that the model has in place of 0 and 1."""
    shape = code.type.shape
    if values.dtype.kind in "iub":
        kind = int(helper.np_dtype_to_tensor_dtype(values.dtype))
        if [*values] == [0, 1]:
            return note_computed(node.scope, node.add(Reshape(shape), code), kind)
        pair = (np.full(shape, number, np.int64) for number in (values[1], values[0]))
        off_on = (node.scope.constant(f"{node.name}.value", array) for array in pair)
        return note_computed(node.scope, node.add(Integer("where"), code, *off_on), kind)
    off, on = (float(value) for value in values)
    rank = (1,) * len(shape)
    scale, shift = (np.full(rank, number, np.float32) for number in (on - off, off))
    given = (node.constant(role, array) for role, array in (("scale", scale), ("shift", shift)))
    real = node.part("real", Reshape(shape), fed(node.scope, code))
    return node.add(Affine(), real, *given)
