"""Values whose batch axis does not stand first, as recurrent networks have them.

Such a value is one sample like any other; `Scope.batch_axis` notes where its batch axis stands. An
operator that reads one is imported as if that axis stood first, with its axes counted and its
constants arranged accordingly; then its results are noted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.frontend.importers.layers.pooling import axes_of_reduction
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch, with_batch_axis
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import AbstractValue, InvalidNode, NodeContext
from qcompiler.ir import Value
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import Reshape, Transpose

Result: TypeAlias = "Value | KnownArray"
Results: TypeAlias = "Result | tuple[Result, ...]"
Importer: TypeAlias = Callable[[NodeContext], Results]


def constant_adds_axes(node: NodeContext) -> bool:
    """Whether a constant has more axes than the values, so that the batch axis moves behind."""
    rank = max(_rank(item) for item in node.inputs if isinstance(item, Value))
    for item in node.inputs:
        if isinstance(item, KnownArray) and item.arrays[0].ndim > rank:
            pairs = zip(item.arrays, node.scope.probes, strict=True)
            return all(array.shape[-rank] in (1, probe) for array, probe in pairs)
    return False


def transpose(node: NodeContext) -> Value:
    """Transpose of all axes, that of the batch included."""
    x = node.activation()
    rank, at = _rank(x), node.position(x)
    perm = node.integers("perm") or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        raise InvalidNode(f"has perm {perm}, but its input has {rank} axes")
    inner = tuple(axis - (axis > at) for axis in perm if axis != at)
    if not at and not perm[0]:
        return x if inner == tuple(range(rank - 1)) else node.add(Transpose(inner), x)
    return with_batch_axis(node, node.part("perm", Transpose(inner), x), perm.index(at))


def elementwise(importer: Importer, node: NodeContext) -> Results:
    """What treats every element by itself, and spreads its operands over each other."""
    rank = max(map(_rank, node.inputs))
    places = {node.position(i) + rank - _rank(i) for i in node.inputs if isinstance(i, Value)}
    if len(places) > 1:
        raise mixes_batch(node)
    at = places.pop()
    inputs = tuple(_in_front(node, item, rank, at) for item in node.inputs)
    return _noted(node, importer(replace(node, inputs=inputs)), at)


def concat(importer: Importer, node: NodeContext) -> Results:
    """Concat along an axis that is not the batch's."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    rank, at = _rank(values[0]), node.position(values[0])
    if any(_rank(value) != rank or node.position(value) != at for value in values):
        raise mixes_batch(node)
    inputs = tuple(_in_front(node, item, rank, at) for item in node.inputs)
    axis = _counted(node, node.integer("axis", 1), rank, at)
    return _noted(node, importer(_with(replace(node, inputs=inputs), axis)), at)


def split(importer: Importer, node: NodeContext) -> Results:
    """Split along an axis that is not the batch's."""
    rank, at = _rank(node.activation()), node.position(node.activation())
    axis = _counted(node, node.integer("axis", 0), rank, at)
    return _noted(node, importer(_with(node, axis)), at)


def gather(importer: Importer, node: NodeContext) -> Results:
    """Gather along an axis that is not the batch's."""
    x, indices = node.activation(), node.fixed(1, "indices")
    at, given = node.position(x), axis_of(node.integer("axis", 0), _rank(x))
    grown = indices.ndim - 1 if indices is not None and given < at else 0
    return _noted(node, importer(_with(node, _counted(node, given, _rank(x), at))), at + grown)


def slice_(importer: Importer, node: NodeContext) -> Results:
    """Slice along any axes."""
    rank, at = _rank(node.activation()), node.position(node.activation())
    old = node.opset < 10
    starts = node.integers("starts") if old else node.fixed_integers(1, "start")
    given = node.integers("axes") if old else node.fixed_integers(3, "axes")
    given = tuple(range(len(starts or ()))) if given is None else given
    axes = [_counted(node, axis, rank, at) for axis in given]
    if old:
        node = replace(node, attributes={**node.attributes, "axes": axes})
    else:
        inputs = (*node.inputs[:3], _known(node, axes), *node.inputs[4:])
        node = replace(node, inputs=inputs)
    return _noted(node, importer(node), at)


def reduce(importer: Importer, node: NodeContext) -> Results:
    """Reductions over axes that are not the batch's."""
    rank, at = _rank(node.activation()), node.position(node.activation())
    dropped = [axis_of(axis, rank) for axis in axes_of_reduction(node) or ()]
    axes = [_counted(node, axis, rank, at) for axis in dropped]
    left = at if node.integer("keepdims", 1) else at - sum(axis < at for axis in dropped)
    inputs = (node.inputs[0], _known(node, axes))
    attributes = {**node.attributes, "axes": axes}
    return _noted(node, importer(replace(node, inputs=inputs, attributes=attributes)), left)


def matmul(importer: Importer, node: NodeContext) -> Results:
    """MatMul with one constant matrix behind the data."""
    x, weight = node.item(0), node.item(1)
    if not isinstance(x, Value) or not isinstance(weight, KnownArray):
        raise mixes_batch(node)
    at = node.position(x)
    if weight.arrays[0].ndim > 2 or at == _rank(x) - 1:
        raise mixes_batch(node)
    return _noted(node, importer(node), at)


def same_batch_axis(importer: Importer, node: NodeContext) -> Results:
    """What its importer arranges wherever the batch axis stands."""
    (at,) = {node.position(item) for item in node.inputs if isinstance(item, Value)}
    return _noted(node, importer(node), at)


def any_batch_axis(importer: Importer, node: NodeContext) -> Results:
    """What knows by itself where the batch axis stands."""
    return importer(node)


def _rank(item: AbstractValue) -> int:
    if isinstance(item, Value):
        return len(item.type.shape) + 1
    return item.arrays[0].ndim if isinstance(item, KnownArray) else 0


def _counted(node: NodeContext, axis: int, rank: int, at: int) -> int:
    """The number of an axis once the batch axis stands first."""
    axis = axis_of(axis, rank)
    if axis == at:
        return 0
    return axis + 1 if axis < at else axis


def _in_front(node: NodeContext, item: AbstractValue, rank: int, at: int) -> AbstractValue:
    """An operand of ``rank`` axes whose batch axis stands first; scalars stay as they are."""
    if isinstance(item, Value):
        ones = (1,) * (rank - _rank(item))
        return node.part("grown", Reshape((*ones, *item.type.shape)), item) if ones else item
    if not isinstance(item, KnownArray) or not item.arrays[0].ndim:
        return item
    grown = [expand_to_rank(array, rank) for array in item.arrays]
    moved = [np.moveaxis(array, at, 0) for array in grown]
    same = item.fixed is not None
    return KnownArray((moved[0],) * len(moved) if same else tuple(moved), item.name)


def _known(node: NodeContext, numbers: list[int]) -> KnownArray:
    return node.scope.known(np.array(numbers, np.int64), "axes")


def _with(node: NodeContext, axis: int) -> NodeContext:
    return replace(node, attributes={**node.attributes, "axis": axis})


def _noted(node: NodeContext, found: Results, at: int) -> Results:
    if isinstance(found, tuple):
        return tuple(_moved(node, result, at) for result in found)
    return _moved(node, found, at)


def _moved(node: NodeContext, found: Result, at: int) -> Result:
    return with_batch_axis(node, found, at) if isinstance(found, Value) else found
