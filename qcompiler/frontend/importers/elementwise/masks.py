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
from qcompiler.frontend.model.scope import AbstractValue, Masked
from qcompiler.ir import Constant, Graph, Node, Tensor, Value
from qcompiler.ir.ann import Affine, Function
from qcompiler.ir.ann.formula import WORDS
from qcompiler.ir.view import View, arrange

from .activations import spread

ABSENT = -1e4
SWALLOWS = -1e8  # in single precision nothing is left of the numbers that this is added to
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


def highest(item: AbstractValue) -> float:
    """The highest number of a constant that hides."""
    assert isinstance(item, KnownArray)
    return max(LOWEST, *(float(array.max()) for array in item.arrays))


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
    """Remember that a value is another one behind a mask."""
    hidden = np.broadcast_to(masked.hidden, value.type.shape)
    below = tuple(max(number, LOWEST) for number in masked.below)
    known = replace(masked, hidden=hidden, below=below, number=max(masked.number, LOWEST))
    node.scope.masks[value.name] = known


def compact(array: Array) -> Array:
    """An array of length 1 along axes where nothing changes."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        array = first if (array == first).all() else array
    return array


def chooses_mask(node: NodeContext) -> bool:
    """Whether a constant condition hides elements of a value from a softmax."""
    items = [node.item(index) for index in range(3)]
    known = isinstance(items[0], KnownArray)
    return known and any(map(only_hides, items[1:])) and any(isinstance(i, Value) for i in items)


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
    bare = viewed(inner.bare, "unmasked")
    found = replace(inner, bare=bare, hidden=hidden, present=tuple(present))
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
