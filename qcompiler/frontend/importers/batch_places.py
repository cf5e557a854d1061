"""Where the batch axis of a node's operands stands, and what follows for its axes and results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch, placed, with_placement
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.placement import FIRST, Placement
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import Reshape

Result: TypeAlias = "Value | KnownArray"
Results: TypeAlias = "Result | tuple[Result, ...]"
Importer: TypeAlias = Callable[[NodeContext], Results]
Adapter: TypeAlias = Callable[[Importer, NodeContext], Results]


def batch_first(importer: Importer, node: NodeContext) -> Results:
    """What needs the batch axis first."""
    inputs = (placed(node, i, FIRST) if isinstance(i, Value) else i for i in node.inputs)
    return importer(replace(node, inputs=tuple(inputs)))


def same_batch_axis(importer: Importer, node: NodeContext) -> Results:
    """What its importer arranges wherever the batch axis stands."""
    places = {node.placement(item) for item in node.inputs if isinstance(item, Value)}
    if len(places) > 1:
        raise mixes_batch(node)
    return noted(node, importer(node), places.pop())


def is_first(node: NodeContext, value: Value) -> bool:
    """Whether the batch axis stands first, or may be taken to."""
    one = node.scope.single and node.full_shapes(value)[0][:1] == (1,)
    return one or node.placement(value) == FIRST


def rank_of(node: NodeContext, item: AbstractValue) -> int:
    """Number of axes of an operand in the model."""
    if isinstance(item, Value):
        return node.placement(item).rank(item.type.shape)
    return item.arrays[0].ndim if isinstance(item, KnownArray) else 0


def common_place(
    node: NodeContext, placements: set[Placement], lengths: list[tuple[int, ...]]
) -> tuple[Placement, tuple[int, ...]]:
    """The one place of the batch axis, and the lengths of the axes that are joined there."""
    if len(placements) > 1 or len(set(lengths)) > 1:
        raise mixes_batch(node)
    return placements.pop(), lengths[0]


def counted(node: NodeContext, axis: int, x: Value) -> int:
    """The number of an axis once the batch axis stands first, by itself."""
    place, axis = node.placement(x), axis_of(axis, rank_of(node, x))
    if place.at is None:
        return axis + 1
    if axis == place.at:
        if place.joined_axes:
            raise mixes_batch(node)
        return 0
    return axis + 1 if axis < place.at else axis + place.joined_axes


def reduced(node: NodeContext, x: Value, dropped: list[int]) -> Placement:
    """The place of the batch axis once these axes are reduced."""
    place = node.placement(x)
    if place.at is None or node.integer("keepdims", 1):
        return place
    return place.behind(-sum(axis < place.at for axis in dropped))


def in_front(
    node: NodeContext,
    item: AbstractValue,
    rank: int,
    place: Placement,
    lengths: tuple[int, ...],
) -> AbstractValue:
    """An operand of ``rank`` axes whose batch axis stands first; scalars stay as they are."""
    if isinstance(item, Value):
        ones = (1,) * (rank - rank_of(node, item))
        return node.part("grown", Reshape((*ones, *item.type.shape)), item) if ones else item
    if not isinstance(item, KnownArray) or not item.arrays[0].ndim:
        return item
    pairs = zip(item.arrays, node.scope.probes, strict=True)
    try:
        moved = [
            place.from_model(expand_to_rank(array, rank), lengths, probe) for array, probe in pairs
        ]
    except ValueError as error:
        raise mixes_batch(node) from error
    same = item.fixed is not None
    return KnownArray((moved[0],) * len(moved) if same else tuple(moved), item.name)


def known_integers(node: NodeContext, numbers: list[int]) -> KnownArray:
    """Integers as an operand."""
    return node.scope.known(np.array(numbers, np.int64), "axes")


def with_axis(node: NodeContext, axis: int) -> NodeContext:
    """The node with another axis."""
    return replace(node, attributes={**node.attributes, "axis": axis})


def noted(node: NodeContext, found: Results, place: Placement) -> Results:
    """The results, with a note of where their batch axis stands."""
    if isinstance(found, tuple):
        return tuple(_placed(node, value, place) for value in found)
    return _placed(node, found, place)


def _placed(node: NodeContext, found: Result, place: Placement) -> Result:
    return with_placement(node, found, place) if isinstance(found, Value) else found
