"""TopK: of one element in spikes, of several on the host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode
from qcompiler.ir import Value
from qcompiler.ir.ann import ArgMax, TopK

from .pooling import reduced

_MINUS = np.asarray(-1, np.float32)


def top_k(node: NodeContext) -> tuple[Value, Value]:
    """TopK: sorted on the host, or of one element: the maximum, and its index on the host."""
    x, count = node.activation(), _count(node)
    axis = axis_of(node.integer("axis", -1), len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    if not 1 <= count <= x.type.shape[axis]:
        raise InvalidNode(f"has k {count} for {x.type.shape[axis]} elements along axis {axis + 1}")
    largest = bool(node.integer("largest", 1))
    if count != 1:
        return _sorted(node, x, axis, count, largest)
    signed = x if largest else scaled_by(node, x, _MINUS, "minus")
    found = node.named(_second(node), ArgMax(axis), signed)
    pooled = reduced(node, "max", signed, frozenset([axis]), keep=True)
    return (pooled if largest else scaled_by(node, pooled, _MINUS)), found


def of_one(node: NodeContext) -> tuple[Value, KnownArray] | None:
    """The results of TopK along an axis of length 1: its operand, and index 0; None for others.

    So PyTorch sorts the lengths of packed sequences, along the batch axis of a model that is fixed
    at one. Refused for a batch axis that is open.
    """
    if node.op_type != "TopK" or not isinstance(x := node.item(0), Value):
        return None
    shapes = node.full_shapes(x)
    axis = axis_of(node.integer("axis", -1), len(shapes[0]))
    if len({shape[axis] for shape in shapes}) > 1:
        raise mixes_batch(node)
    if shapes[0][axis] != 1 or _count(node) != 1:
        return None
    indices = tuple(np.zeros(shape, np.int64) for shape in shapes)
    return x, KnownArray(indices, _second(node))


def sorts(node: NodeContext) -> bool:
    """Whether a node is a TopK of several elements, which the host sorts."""
    return node.op_type == "TopK" and _count(node) != 1


def _sorted(
    node: NodeContext, x: Value, axis: int, count: int, largest: bool
) -> tuple[Value, Value]:
    named = node if node.outputs[0] else replace(node, outputs=(f"{node.name}.values",))
    values = named.add(TopK(axis, count, largest), x)
    return values, node.named(_second(node), TopK(axis, count, largest, True), x)


def _second(node: NodeContext) -> str:
    """The name of the indices that TopK returns."""
    return node.outputs[1] if len(node.outputs) > 1 and node.outputs[1] else f"{node.name}.index"


def _count(node: NodeContext) -> int:
    count = (node.integer("k", 0),) if node.opset < 10 else node.fixed_integers(1, "k")
    if not count or len(count) != 1:
        raise InvalidNode(f"has k {count}")
    return count[0]
