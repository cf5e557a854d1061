"""Importer of embeddings: rows of a constant table, by indices that are an input."""

from __future__ import annotations

import numpy as np
from onnx import helper

from qcompiler.frontend.model.in_front import is_given, note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Embed

from .reshape import axis_of

_LOOK_UP = "look up embeddings outside the network: export the model with their rows as its input"


def is_look_up(node: NodeContext) -> bool:
    """Whether a Gather reads at indices that depend on the data."""
    return isinstance(node.item(1), Value)


def look_up(node: NodeContext) -> Value:
    """Gather from a constant table at indices of an input; the host does it."""
    if isinstance(node.item(0), Value):
        raise Refused("Gather from a value at indices that depend on the data is not supported")
    table, indices = node.fixed(0, "table"), node.activation(1)
    if table is None or not table.ndim:
        raise InvalidNode("has no table")
    if axis_of(node.integer("axis", 0), table.ndim):
        raise Refused("Gather at indices that depend on the data is only supported on axis 0")
    if not is_given(node.scope, indices):
        raise Refused("Gather at indices that the network computes is not supported", _LOOK_UP)
    cut = indices.name in node.scope.truncated
    if table.dtype.kind not in "iub":
        return node.add(Embed(cut), indices, node.constant("table", table))
    whole = node.scope.constant(f"{node.name}.table", table.astype(np.int64))
    kind = int(helper.np_dtype_to_tensor_dtype(table.dtype))
    return note_computed(node.scope, node.add(Embed(cut), indices, whole), kind)
