"""Masks of softmax: constants of -10,000 and below say that a position is absent.

A value behind a mask is built as any other. Beside that, `Scope.masks` holds the value without its
mask, so that no code need hold the mask's numbers.
"""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, per_sample
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import AbstractValue, Scope
from qcompiler.ir import Constant, Graph, Node, Value
from qcompiler.ir.ann import Affine
from qcompiler.ir.view import Pick, Reshape, Take, Transpose, arrange

from .activations import spread

_ABSENT = -1e4
LOWEST = float(np.float32(-1e30))  # about the lowest number that calibration data may hold


def hidden_by(array: Array) -> Array | None:
    """Where a constant hides positions; None if it hides none, or all."""
    if array.dtype.kind != "f":
        return None
    hidden: Array = array <= _ABSENT
    return hidden if hidden.any() and not hidden.all() else None


def only_hides(item: AbstractValue) -> bool:
    """Whether all elements of a constant hide positions."""
    if not isinstance(item, KnownArray):
        return False
    return all(a.dtype.kind == "f" and a.size and (a <= _ABSENT).all() for a in item.arrays)


def bounded(array: Array) -> Array:
    """A mask whose numbers are finite; other constants as they are."""
    if hidden_by(array) is None:
        return array
    found: Array = np.maximum(array.astype(np.float32), np.float32(LOWEST))
    return found


def note_mask(node: NodeContext, masked: Value, bare: Value, hidden: Array) -> None:
    """Remember that a value is another one behind a mask."""
    node.scope.masks[masked.name] = bare, np.broadcast_to(hidden, masked.type.shape)


def chooses_mask(node: NodeContext) -> bool:
    """Whether a constant condition hides elements of a value from a softmax."""
    items = [node.item(index) for index in range(3)]
    known = isinstance(items[0], KnownArray)
    return known and any(map(only_hides, items[1:])) and any(isinstance(i, Value) for i in items)


def hiding(node: NodeContext, condition: KnownArray) -> Value:
    """A value behind the mask that a Where by a constant condition is."""
    value_first = isinstance(node.item(1), Value)
    x, known = node.activation(1 if value_first else 2), node.item(2 if value_first else 1)
    assert isinstance(known, KnownArray)
    chosen, lowest = (per_sample(node, one, len(x.type.shape)) for one in (condition, known))
    shape = x.type.shape
    hidden, lowest = np.broadcast_arrays(chosen != value_first, np.maximum(lowest, LOWEST))
    x = spread(node, x, np.broadcast_shapes(shape, hidden.shape))
    shift = np.where(hidden, lowest, 0).reshape((1,) * (len(shape) - hidden.ndim) + hidden.shape)
    scale = node.constant("present", (shift == 0).astype(np.float32))
    found = node.add(Affine(), x, scale, node.constant("mask", shift.astype(np.float32)))
    note_mask(node, found, x, shift < 0)
    return found


def without_mask(scope: Scope, value: Value) -> tuple[Value, Array] | None:
    """A value without the mask in front of it, or in front of its views; None if there is none."""
    if found := scope.masks.get(value.name):
        return found
    made = scope.builder.producer(value)
    if made is None or not isinstance(made.op, Reshape | Transpose | Take | Pick):
        return None
    source, *places = made.operands
    assert isinstance(source, Value)
    inner = without_mask(scope, source)
    if inner is None:
        return None
    name = f"{value.name}.unmasked"
    bare = scope.builder.add(made.op, inner[0], *places, name=name, origin=made.origin)
    arrays = [place.data for place in places if isinstance(place, Constant)]
    return bare, arrange(made.op, inner[1][None], *arrays)[0]


def nodes_of_masks(graph: Graph) -> list[Node]:
    """Nodes that add numbers of a mask which no code holds."""
    return [
        node
        for node in graph.nodes
        if isinstance(node.op, Affine) and node.arrays[1].min(initial=0) <= LOWEST
    ]
