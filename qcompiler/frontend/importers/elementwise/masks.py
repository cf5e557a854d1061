"""Masks of softmax: numbers of -10,000 and below say that a position is absent.

A value behind a mask is built as any other. Beside that, `Scope.masks` holds the value without its
mask, so that no code need hold the mask's numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import AbstractValue, Masked
from qcompiler.ir import Constant, Graph, Node, Tensor, Value
from qcompiler.ir.ann import Affine, Function
from qcompiler.ir.ann.formula import WORDS
from qcompiler.ir.view import View, arrange

from .activations import spread

ABSENT = -1e4
LOWEST = float(np.float32(-1e30))  # about the lowest number that calibration data may hold


def hidden_by(array: Array) -> Array | None:
    """Where a constant hides positions; None if it hides none, or all."""
    if array.dtype.kind != "f":
        return None
    hidden: Array = array <= ABSENT
    return hidden if hidden.any() and not hidden.all() else None


def only_hides(item: AbstractValue) -> bool:
    """Whether all elements of a constant hide positions."""
    if not isinstance(item, KnownArray):
        return False
    return all(a.dtype.kind == "f" and a.size and (a <= ABSENT).all() for a in item.arrays)


def bounded(array: Array) -> Array:
    """A mask whose numbers are finite; other constants as they are."""
    if hidden_by(array) is None:
        return array
    found: Array = np.maximum(array.astype(np.float32), np.float32(LOWEST))
    return found


def finite(known: KnownArray) -> KnownArray:
    """A constant with the lowest finite number in place of minus infinity."""
    if known.arrays[0].dtype.kind != "f":
        return known
    lowest = known.arrays[0].dtype.type(max(LOWEST, np.finfo(known.arrays[0].dtype).min))
    return known.changed(
        lambda array: np.where(np.isneginf(array), lowest, array), f"{known.name}.finite"
    )


def note_mask(node: NodeContext, value: Value, masked: Masked) -> None:
    """Remember that a value is another one behind a mask, which may be behind a mask itself."""
    hidden = np.broadcast_to(masked.hidden, value.type.shape)
    if (inner := without_mask(node, masked.bare)) is not None:
        present, alike = (*masked.present, *inner.present), masked.alike or inner.alike
        masked = Masked(inner.bare, hidden | inner.hidden, present, alike)
    node.scope.masks[value.name] = replace(masked, hidden=hidden | masked.hidden)


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
    hidden, lowest = np.broadcast_arrays(chosen != value_first, lowest)
    x = spread(node, x, np.broadcast_shapes(shape, hidden.shape))
    shift = np.where(hidden, lowest, 0).reshape((1,) * (len(shape) - hidden.ndim) + hidden.shape)
    scale = node.constant("present", (shift == 0).astype(np.float32))
    found = node.add(Affine(), x, scale, node.constant("mask", shift.astype(np.float32)))
    note_mask(node, found, Masked(x, shift < 0))
    return found


def without_mask(node: NodeContext, value: Value) -> Masked | None:
    """A value without the mask in front of it, or in front of its views; None if there is none."""
    scope = node.scope
    if known := scope.masks.get(value.name):
        return known
    made = scope.builder.producer(value)
    if made is None or not isinstance(made.op, View):
        return None
    op, origin, (source, *places) = made.op, made.origin, made.operands
    assert isinstance(source, Value)
    inner = without_mask(node, source)
    if inner is None:
        return None

    def viewed(x: Value, role: str) -> Value:
        name = f"{value.name}.{role}"
        return scope.builder.add(op, x, *places, name=name, origin=origin)

    arrays = [place.data for place in places if isinstance(place, Constant)]
    hidden = arrange(op, inner.hidden[None], *arrays)[0]
    present = (viewed(spread(node, x, inner.hidden.shape), "present") for x in inner.present)
    found = Masked(viewed(inner.bare, "unmasked"), hidden, tuple(present), inner.alike)
    return scope.masks.setdefault(value.name, found)


def nodes_of_masks(graph: Graph) -> list[Node]:
    """Nodes that give numbers of a mask which no code holds."""
    return [node for node in graph.nodes if _lowest(node) <= LOWEST]


def _lowest(node: Node) -> float:
    """The lowest number in a scale, a shift, or a formula whose results are not known to be few."""
    type_ = node.result.type
    if isinstance(node.op, Function) and isinstance(type_, Tensor) and type_.range is None:
        return min((float(w) for w in node.op.formula.split() if w not in {*WORDS, "x"}), default=0)
    arrays = node.arrays if isinstance(node.op, Affine) else ()
    return min((float(array.min(initial=0)) for array in arrays), default=0)
