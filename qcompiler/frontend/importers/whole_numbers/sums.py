"""Importers of running sums of integers, and of their sums, maxima and minima over axes."""

from __future__ import annotations

from qcompiler.frontend.importers.layers.pooling import reduced_axes
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.in_front import note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode
from qcompiler.ir import Value
from qcompiler.ir.ann import CumSum, Reduce
from qcompiler.ir.view import Reshape

from .operands import kind_of, whole, wraps


def running_sum(node: NodeContext) -> Value:
    """CumSum of integers along an axis of the sample."""
    x, given = node.activation(), node.fixed_integer(1, "axis")
    if given is None:
        raise InvalidNode("has no axis")
    axis = axis_of(given, len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    ways = (bool(node.integer(name, 0)) for name in ("exclusive", "reverse"))
    kind = kind_of(node, x)
    found = node.add(CumSum(axis, *ways, **wraps(kind)), whole(node, x))
    return note_computed(node.scope, found, kind)


def reduction(node: NodeContext) -> Value:
    """ReduceSum, ReduceMax and ReduceMin of integers over axes of the sample."""
    x, axes = node.activation(), reduced_axes(node)
    word, kind = node.op_type.removeprefix("Reduce").lower(), kind_of(node, x)
    keep = bool(node.integer("keepdims", 1))
    inner = node.within("reduced") if keep else node
    found = inner.add(Reduce(word, tuple(sorted(axes)), **wraps(kind)), whole(node, x))
    note_computed(node.scope, found, kind)
    if not keep:
        return found
    kept = Reshape(tuple(1 if axis in axes else n for axis, n in enumerate(x.type.shape)))
    return note_computed(node.scope, node.add(kept, found), kind)
