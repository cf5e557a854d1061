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
from qcompiler.frontend.importers.views.reshape import axis_of, marked, mixes_batch
from qcompiler.frontend.model.constant_folding import Known
from qcompiler.frontend.model.node_context import Broken, Item, Step
from qcompiler.ir import Value
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import Reshape, Transpose

Results: TypeAlias = "Value | tuple[Value, ...]"
Importer: TypeAlias = Callable[[Step], Results]


def enlarged(step: Step) -> bool:
    """Whether a constant has more axes than the values, so that the batch axis moves behind."""
    rank = max(_rank(item) for item in step.inputs if isinstance(item, Value))
    for item in step.inputs:
        if isinstance(item, Known) and item.arrays[0].ndim > rank:
            pairs = zip(item.arrays, step.scope.probes, strict=True)
            return all(array.shape[-rank] in (1, probe) for array, probe in pairs)
    return False


def transpose(step: Step) -> Value:
    """Transpose of all axes, that of the batch included."""
    x = step.activation()
    rank, at = _rank(x), step.position(x)
    perm = step.integers("perm") or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        raise Broken(f"has perm {perm}, but its input has {rank} axes")
    inner = tuple(axis - (axis > at) for axis in perm if axis != at)
    if not at and not perm[0]:
        return x if inner == tuple(range(rank - 1)) else step.add(Transpose(inner), x)
    return marked(step, step.part("perm", Transpose(inner), x), perm.index(at))


def elementwise(importer: Importer, step: Step) -> Results:
    """What treats every element by itself, and spreads its operands over each other."""
    rank = max(map(_rank, step.inputs))
    places = {step.position(i) + rank - _rank(i) for i in step.inputs if isinstance(i, Value)}
    if len(places) > 1:
        raise mixes_batch(step)
    at = places.pop()
    inputs = tuple(_in_front(step, item, rank, at) for item in step.inputs)
    return _noted(step, importer(replace(step, inputs=inputs)), at)


def concat(importer: Importer, step: Step) -> Results:
    """Concat along an axis that is not the batch's."""
    values = [item for item in step.inputs if isinstance(item, Value)]
    rank, at = _rank(values[0]), step.position(values[0])
    if any(_rank(value) != rank or step.position(value) != at for value in values):
        raise mixes_batch(step)
    inputs = tuple(_in_front(step, item, rank, at) for item in step.inputs)
    axis = _counted(step, step.integer("axis", 1), rank, at)
    return _noted(step, importer(_with(replace(step, inputs=inputs), axis)), at)


def split(importer: Importer, step: Step) -> Results:
    """Split along an axis that is not the batch's."""
    rank, at = _rank(step.activation()), step.position(step.activation())
    axis = _counted(step, step.integer("axis", 0), rank, at)
    return _noted(step, importer(_with(step, axis)), at)


def gather(importer: Importer, step: Step) -> Results:
    """Gather along an axis that is not the batch's."""
    x, indices = step.activation(), step.fixed(1, "indices")
    at, given = step.position(x), axis_of(step.integer("axis", 0), _rank(x))
    grown = indices.ndim - 1 if indices is not None and given < at else 0
    return _noted(step, importer(_with(step, _counted(step, given, _rank(x), at))), at + grown)


def slice_(importer: Importer, step: Step) -> Results:
    """Slice along any axes."""
    rank, at = _rank(step.activation()), step.position(step.activation())
    old = step.opset < 10
    starts = step.integers("starts") if old else step.fixed_integers(1, "start")
    given = step.integers("axes") if old else step.fixed_integers(3, "axes")
    given = tuple(range(len(starts or ()))) if given is None else given
    axes = [_counted(step, axis, rank, at) for axis in given]
    if old:
        step = replace(step, attributes={**step.attributes, "axes": axes})
    else:
        inputs = (*step.inputs[:3], _known(step, axes), *step.inputs[4:])
        step = replace(step, inputs=inputs)
    return _noted(step, importer(step), at)


def reduce(importer: Importer, step: Step) -> Results:
    """Reductions over axes that are not the batch's."""
    rank, at = _rank(step.activation()), step.position(step.activation())
    dropped = [axis_of(axis, rank) for axis in axes_of_reduction(step) or ()]
    axes = [_counted(step, axis, rank, at) for axis in dropped]
    left = at if step.integer("keepdims", 1) else at - sum(axis < at for axis in dropped)
    inputs = (step.inputs[0], _known(step, axes))
    attributes = {**step.attributes, "axes": axes}
    return _noted(step, importer(replace(step, inputs=inputs, attributes=attributes)), left)


def matmul(importer: Importer, step: Step) -> Results:
    """MatMul with one constant matrix behind the data."""
    x, weight = step.item(0), step.item(1)
    if not isinstance(x, Value) or not isinstance(weight, Known):
        raise mixes_batch(step)
    at = step.position(x)
    if weight.arrays[0].ndim > 2 or at == _rank(x) - 1:
        raise mixes_batch(step)
    return _noted(step, importer(step), at)


def arranged(importer: Importer, step: Step) -> Results:
    """What its importer arranges wherever the batch axis stands."""
    (at,) = {step.position(item) for item in step.inputs if isinstance(item, Value)}
    return _noted(step, importer(step), at)


def anywhere(importer: Importer, step: Step) -> Results:
    """What knows by itself where the batch axis stands."""
    return importer(step)


def _rank(item: Item) -> int:
    if isinstance(item, Value):
        return len(item.type.shape) + 1
    return item.arrays[0].ndim if isinstance(item, Known) else 0


def _counted(step: Step, axis: int, rank: int, at: int) -> int:
    """The number of an axis once the batch axis stands first."""
    axis = axis_of(axis, rank)
    if axis == at:
        return 0
    return axis + 1 if axis < at else axis


def _in_front(step: Step, item: Item, rank: int, at: int) -> Item:
    """An operand of ``rank`` axes whose batch axis stands first; scalars stay as they are."""
    if isinstance(item, Value):
        ones = (1,) * (rank - _rank(item))
        return step.part("grown", Reshape((*ones, *item.type.shape)), item) if ones else item
    if not isinstance(item, Known) or not item.arrays[0].ndim:
        return item
    grown = [expand_to_rank(array, rank) for array in item.arrays]
    moved = [np.moveaxis(array, at, 0) for array in grown]
    same = item.fixed is not None
    return Known((moved[0],) * len(moved) if same else tuple(moved), item.name)


def _known(step: Step, numbers: list[int]) -> Known:
    return step.scope.known(np.array(numbers, np.int64), "axes")


def _with(step: Step, axis: int) -> Step:
    return replace(step, attributes={**step.attributes, "axis": axis})


def _noted(step: Step, found: Results, at: int) -> Results:
    if isinstance(found, Value):
        return marked(step, found, at)
    return tuple(marked(step, value, at) for value in found)
