"""Values whose batch axis does not stand first, as recurrent networks have them.

Such a value is one sample like any other; `Scope.batch_axis` notes where its batch axis stands. An
operator that reads one is imported as if that axis stood first, with its axes counted and its
constants arranged accordingly; then its results are noted. A batch of one may have its axis
anywhere, or have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import TypeAlias

import numpy as np

from qcompiler.frontend.importers.layers.pooling import axes_of_reduction
from qcompiler.frontend.importers.views.reshape import (
    axis_of,
    mixes_batch,
    placed,
    with_placement,
)
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import (
    AbstractValue,
    InvalidNode,
    MixesBatch,
    NodeContext,
)
from qcompiler.frontend.model.placement import FIRST, WHOLE, Placement
from qcompiler.ir import Value
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import Reshape, Transpose

Results: TypeAlias = "Value | tuple[Value, ...]"
Importer: TypeAlias = Callable[[NodeContext], Results]
Adapter: TypeAlias = Callable[[Importer, NodeContext], Results]


def import_with(adapter: Adapter, importer: Importer, node: NodeContext) -> Results:
    """Import a node, wherever the batch axis of its inputs stands.

    What mixes a batch of one with other axes is imported as if there were no batch axis.
    """
    values = [item for item in node.inputs if isinstance(item, Value)]
    elsewhere = any(node.placement(value) != FIRST for value in values)
    elsewhere = elsewhere or (adapter is elementwise and constant_adds_axes(node))
    try:
        return adapter(importer, node) if elsewhere else importer(node)
    except MixesBatch:
        if not node.scope.single:
            raise
    whole = [placed(node, i, WHOLE) if isinstance(i, Value) else i for i in node.inputs]
    return adapter(importer, replace(node, inputs=tuple(whole)))


def constant_adds_axes(node: NodeContext) -> bool:
    """Whether a constant has more axes than the values, so that the batch axis moves behind."""
    rank = max(_rank(node, item) for item in node.inputs if isinstance(item, Value))
    for item in node.inputs:
        if isinstance(item, KnownArray) and item.arrays[0].ndim > rank:
            pairs = zip(item.arrays, node.scope.probes, strict=True)
            return all(array.shape[-rank] in (1, probe) for array, probe in pairs)
    return False


def transpose(node: NodeContext) -> Value:
    """Transpose of all axes, that of the batch included."""
    x = node.activation()
    rank, place = _rank(node, x), node.placement(x)
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
    rank = max(_rank(node, item) for item in node.inputs)
    values = [item for item in node.inputs if isinstance(item, Value)]
    placements = {node.placement(v).behind(rank - _rank(node, v)) for v in values}
    place, lengths = _alike(
        node, placements, [node.placement(v).lengths(v.type.shape) for v in values]
    )
    inputs = tuple(_in_front(node, item, rank, place, lengths) for item in node.inputs)
    return _noted(node, importer(replace(node, inputs=inputs)), place)


def concat(importer: Importer, node: NodeContext) -> Results:
    """Concat along an axis that is not the batch's."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    rank = _rank(node, values[0])
    if any(_rank(node, value) != rank for value in values):
        raise mixes_batch(node)
    found = [node.placement(value).lengths(value.type.shape) for value in values]
    place, lengths = _alike(node, {node.placement(value) for value in values}, found)
    inputs = tuple(_in_front(node, item, rank, place, lengths) for item in node.inputs)
    axis = _counted(node, node.integer("axis", 1), values[0])
    return _noted(node, importer(_with(replace(node, inputs=inputs), axis)), place)


def split(importer: Importer, node: NodeContext) -> Results:
    """Split along an axis that is not the batch's."""
    x = node.activation()
    axis = _counted(node, node.integer("axis", 0), x)
    return _noted(node, importer(_with(node, axis)), node.placement(x))


def softmax(importer: Importer, node: NodeContext) -> Results:
    """Softmax over an axis that is not the batch's; before opset 13 over all from there on."""
    x = node.activation()
    place, rank = node.placement(x), _rank(node, x)
    axis = axis_of(node.integer("axis", -1 if node.opset >= 13 else 1), rank)
    if node.opset < 13 and place.at is not None and place.at >= axis:
        raise mixes_batch(node)
    return _noted(node, importer(_with(node, _counted(node, axis, x))), place)


def arg_max(importer: Importer, node: NodeContext) -> Results:
    """ArgMax over an axis that is not the batch's."""
    x = node.activation()
    given = axis_of(node.integer("axis", 0), _rank(node, x))
    left = _left(node, x, [given])
    return _noted(node, importer(_with(node, _counted(node, given, x))), left)


def gather(importer: Importer, node: NodeContext) -> Results:
    """Gather along an axis that is not the batch's."""
    x, indices = node.activation(), node.fixed(1, "indices")
    place, given = node.placement(x), axis_of(node.integer("axis", 0), _rank(node, x))
    inner = _with(node, _counted(node, given, x))
    if indices is not None and place.at is not None and given < place.at:
        place = place.behind(indices.ndim - 1)
    return _noted(node, importer(inner), place)


def slice_(importer: Importer, node: NodeContext) -> Results:
    """Slice along any axes."""
    x, old = node.activation(), node.opset < 10
    starts = node.integers("starts") if old else node.fixed_integers(1, "start")
    given = node.integers("axes") if old else node.fixed_integers(3, "axes")
    given = tuple(range(len(starts or ()))) if given is None else given
    axes = [_counted(node, axis, x) for axis in given]
    if old:
        node = replace(node, attributes={**node.attributes, "axes": axes})
    else:
        inputs = (*node.inputs[:3], _known(node, axes), *node.inputs[4:])
        node = replace(node, inputs=inputs)
    return _noted(node, importer(node), node.placement(x))


def pad(importer: Importer, node: NodeContext) -> Results:
    """Pad along axes that are not the batch's."""
    if node.text("mode", "constant") != "constant":
        return same_batch_axis(importer, node)
    x, old = node.activation(), node.opset < 11
    pads = (node.integers("pads") if old else node.fixed_integers(1, "pads")) or ()
    axes = (None if old else node.fixed_integers(3, "axes")) or range(_rank(node, x))
    pairs = list(zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True))
    used = [(_counted(node, axis, x), *pair) for axis, *pair in pairs if any(pair)]
    begins, ends = ([0] * (len(x.type.shape) + 1) for _ in range(2))
    for axis, begin, end in used:
        begins[axis], ends[axis] = begin, end
    inputs = (x, _known(node, begins + ends), *node.inputs[2:3])
    attributes = {**node.attributes, "pads": begins + ends}
    return _noted(
        node, importer(replace(node, inputs=inputs, attributes=attributes)), node.placement(x)
    )


def reduce(importer: Importer, node: NodeContext) -> Results:
    """Reductions over axes that are not the batch's."""
    x, given = node.activation(), axes_of_reduction(node)
    if not given and not node.integer("noop_with_empty_axes", 0):
        given = tuple(range(_rank(node, x)))
    dropped = [axis_of(axis, _rank(node, x)) for axis in given or ()]
    axes = [_counted(node, axis, x) for axis in dropped]
    inputs = (node.inputs[0], _known(node, axes))
    attributes = {**node.attributes, "axes": axes}
    left = _left(node, x, dropped)
    return _noted(node, importer(replace(node, inputs=inputs, attributes=attributes)), left)


def matmul(importer: Importer, node: NodeContext) -> Results:
    """MatMul with constant matrices, along axes that are not the batch's."""
    first = isinstance(node.item(1), Value)
    x, weight = (node.item(1), node.item(0)) if first else (node.item(0), node.item(1))
    if not isinstance(x, Value) or not isinstance(weight, KnownArray):
        raise mixes_batch(node)
    place, rank, matrix = node.placement(x), _rank(node, x), weight.arrays[0]
    if place.at is not None and (place.at >= rank - 1 - first or (matrix.ndim > 2 and place.at)):
        raise mixes_batch(node)
    if first and rank == 1 and matrix.ndim == 2:  # a matrix times a vector
        turned = tuple(array.T for array in weight.arrays)
        same = weight.fixed is not None
        turned = (turned[0],) * len(turned) if same else turned
        node = replace(node, inputs=(x, replace(weight, arrays=turned)))
    return _noted(node, importer(node), place)


def gemm(importer: Importer, node: NodeContext) -> Results:
    """Gemm of rows that are not all of different samples."""
    x = node.item(0)
    if not isinstance(x, Value) or _is_first(node, x):
        return batch_first(importer, node)
    if node.placement(x).at not in (0, None) or node.integer("transA", 0):
        raise mixes_batch(node)
    return _noted(node, importer(node), node.placement(x))


def side_by_side(importer: Importer, node: NodeContext) -> Results:
    """What takes images, of which every sample holds several: they become channels of one."""
    return _in_channels(importer, node, True)


def resize(importer: Importer, node: NodeContext) -> Results:
    """The same for a resize; by scales, for sizes state the number of channels."""
    if node.item(3) is not None:
        return batch_first(importer, node)
    return _in_channels(importer, node, False)


def _in_channels(importer: Importer, node: NodeContext, repeated: bool) -> Results:
    """``repeated`` says whether the other operands have something for each channel."""
    x = node.activation()
    place, shape = node.placement(x), x.type.shape
    if _is_first(node, x) or place.at not in (0, None):
        return batch_first(importer, node)
    axes = 1 if place.at is None else place.joined_axes
    if len(shape) <= axes:
        raise InvalidNode(f"reads images of shape {shape[axes:]}")
    count = prod(shape[:axes])
    image = node.part("images", Reshape((count * shape[axes], *shape[axes + 1 :])), x)
    others = [_repeated(i, count) if repeated else i for i in node.inputs[1:]]
    inner = replace(
        node,
        inputs=(image, *others),
        attributes={**node.attributes, "group": node.integer("group", 1) * count},
        outputs=(f"{node.output}.images", *node.outputs[1:]),
    )
    found = importer(inner)
    assert isinstance(found, Value)
    apart = found.type.shape[0] // count, *found.type.shape[1:]
    return _noted(node, node.add(Reshape((*shape[:axes], *apart)), found), place)


def same_batch_axis(importer: Importer, node: NodeContext) -> Results:
    """What its importer arranges wherever the batch axis stands."""
    (place,) = {node.placement(item) for item in node.inputs if isinstance(item, Value)}
    return _noted(node, importer(node), place)


def any_batch_axis(importer: Importer, node: NodeContext) -> Results:
    """What knows by itself where the batch axis stands."""
    return importer(node)


def batch_first(importer: Importer, node: NodeContext) -> Results:
    """What needs the batch axis first."""
    inputs = (placed(node, i, FIRST) if isinstance(i, Value) else i for i in node.inputs)
    return importer(replace(node, inputs=tuple(inputs)))


def _is_first(node: NodeContext, value: Value) -> bool:
    """Whether the batch axis stands first, or may be taken to."""
    one = node.scope.single and node.full_shapes(value)[0][:1] == (1,)
    return one or node.placement(value) == FIRST


def _repeated(item: AbstractValue, count: int) -> AbstractValue:
    if not isinstance(item, KnownArray):
        return item
    arrays = tuple(np.concatenate([array] * count) for array in item.arrays[:1])
    return KnownArray(arrays * len(item.arrays), item.name)


def _rank(node: NodeContext, item: AbstractValue) -> int:
    if isinstance(item, Value):
        return node.placement(item).rank(item.type.shape)
    return item.arrays[0].ndim if isinstance(item, KnownArray) else 0


def _alike(
    node: NodeContext, placements: set[Placement], lengths: list[tuple[int, ...]]
) -> tuple[Placement, tuple[int, ...]]:
    """The one place of the batch axis, and the lengths of the axes that are joined there."""
    if len(placements) > 1 or len(set(lengths)) > 1:
        raise mixes_batch(node)
    return placements.pop(), lengths[0]


def _counted(node: NodeContext, axis: int, x: Value) -> int:
    """The number of an axis once the batch axis stands first, by itself."""
    place, axis = node.placement(x), axis_of(axis, _rank(node, x))
    if place.at is None:
        return axis + 1
    if axis == place.at:
        if place.joined_axes:
            raise mixes_batch(node)
        return 0
    return axis + 1 if axis < place.at else axis + place.joined_axes


def _left(node: NodeContext, x: Value, dropped: list[int]) -> Placement:
    """The place of the batch axis once these axes are reduced."""
    place = node.placement(x)
    if place.at is None or node.integer("keepdims", 1):
        return place
    return place.behind(-sum(axis < place.at for axis in dropped))


def _in_front(
    node: NodeContext,
    item: AbstractValue,
    rank: int,
    place: Placement,
    lengths: tuple[int, ...],
) -> AbstractValue:
    """An operand of ``rank`` axes whose batch axis stands first; scalars stay as they are."""
    if isinstance(item, Value):
        ones = (1,) * (rank - _rank(node, item))
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


def _known(node: NodeContext, numbers: list[int]) -> KnownArray:
    return node.scope.known(np.array(numbers, np.int64), "axes")


def _with(node: NodeContext, axis: int) -> NodeContext:
    return replace(node, attributes={**node.attributes, "axis": axis})


def _noted(node: NodeContext, found: Results, place: Placement) -> Results:
    if isinstance(found, Value):
        return with_placement(node, found, place)
    return tuple(with_placement(node, value, place) for value in found)
