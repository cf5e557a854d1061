"""Values whose batch axis does not stand first, as recurrent networks have them.

Such a value is one sample like any other; `Scope.batch_axis` notes where its batch axis stands. An
operator that reads one is imported as if that axis stood first, with its axes counted and its
constants arranged accordingly; then its results are noted. A batch of one may have its axis
anywhere, or have none.
"""

from __future__ import annotations

from dataclasses import replace

from qcompiler.frontend.importers.views.reshape import mixes_batch, placed, with_placement
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, MixesBatch
from qcompiler.frontend.model.placement import FIRST, WHOLE, Placement
from qcompiler.ir import Value
from qcompiler.ir.view import Transpose

from .batch_places import (
    Adapter,
    Importer,
    Results,
    common_place,
    counted,
    in_front,
    noted,
    rank_of,
    with_axis,
)


def import_with(adapter: Adapter, importer: Importer, node: NodeContext) -> Results:
    """Import a node, wherever the batch axis of its inputs stands.

    What mixes a batch of one with other axes is imported as if there were no batch axis.
    """
    values = [item for item in node.inputs if isinstance(item, Value)]
    elsewhere = any(node.placement(value) != FIRST for value in values)
    elsewhere = elsewhere or (adapter is elementwise and _adds_axes(node, values))
    try:
        return adapter(importer, node) if elsewhere else importer(node)
    except MixesBatch:
        if not node.scope.single:
            raise
    whole = [placed(node, i, WHOLE) if isinstance(i, Value) else i for i in node.inputs]
    return adapter(importer, replace(node, inputs=tuple(whole)))


def _adds_axes(node: NodeContext, values: list[Value]) -> bool:
    """Whether an operand has more axes than another, so that the batch axis moves behind."""
    ranks = {rank_of(node, value) for value in values}
    if len(ranks) > 1:
        return True
    (rank,) = ranks
    for item in node.inputs:
        if isinstance(item, KnownArray) and item.arrays[0].ndim > rank:
            pairs = zip(item.arrays, node.scope.probes, strict=True)
            return all(array.shape[-rank] in (1, probe) for array, probe in pairs)
    return False


def transpose(node: NodeContext) -> Value:
    """Transpose of all axes, that of the batch included."""
    x = node.activation()
    rank, place = rank_of(node, x), node.placement(x)
    perm = node.integers("perm") or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        raise InvalidNode(f"has perm {perm}, but its input has {rank} axes")
    inner = tuple(inside for axis in perm for inside in _inside(place, axis))
    moved = place if place.at is None else replace(place, at=perm.index(place.at))
    if inner != tuple(range(len(inner))):
        x = node.add(Transpose(inner), x)
        node.scope.batch_axis[x.name] = moved
    return with_placement(node, x, moved)


def _inside(place: Placement, axis: int) -> range:
    """The axes of a sample that an axis of the model holds."""
    if place.at is None or axis < place.at:
        return range(axis, axis + 1)
    behind = place.joined_axes - 1 if axis > place.at else 0
    return range(axis + behind, axis + behind + (1 if axis > place.at else place.joined_axes))


def elementwise(importer: Importer, node: NodeContext) -> Results:
    """What treats every element by itself, and spreads its operands over each other."""
    rank = max(rank_of(node, item) for item in node.inputs)
    values = [item for item in node.inputs if isinstance(item, Value)]
    placements = {node.placement(v).behind(rank - rank_of(node, v)) for v in values}
    place, lengths = common_place(
        node, placements, [node.placement(v).lengths(v.type.shape) for v in values]
    )
    inputs = tuple(in_front(node, item, rank, place, lengths) for item in node.inputs)
    return noted(node, importer(replace(node, inputs=inputs)), place)


def concat(importer: Importer, node: NodeContext) -> Results:
    """Concat along an axis that is not the batch's."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    rank = rank_of(node, values[0])
    if any(rank_of(node, value) != rank for value in values):
        raise mixes_batch(node)
    found = [node.placement(value).lengths(value.type.shape) for value in values]
    place, lengths = common_place(node, {node.placement(value) for value in values}, found)
    inputs = tuple(in_front(node, item, rank, place, lengths) for item in node.inputs)
    axis = counted(node, node.integer("axis", 1), values[0])
    return noted(node, importer(with_axis(replace(node, inputs=inputs), axis)), place)


def any_batch_axis(importer: Importer, node: NodeContext) -> Results:
    """What knows by itself where the batch axis stands."""
    return importer(node)
