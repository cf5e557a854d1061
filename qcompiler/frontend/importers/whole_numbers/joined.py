"""Importers of what puts constants beside integers that the host knows: Concat and Pad."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from qcompiler.frontend.importers.views.movement import rearrange
from qcompiler.frontend.importers.views.passthrough import pad_ends
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value
from qcompiler.ir.ann import Concat, Integer
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import MOST_ON_HOST
from qcompiler.ir.view import Take

from .operands import check_alike, kind_of, whole

_OUTSIDE = -1  # in place of the place of a number: a constant is there


def concat(node: NodeContext) -> Value:
    """Concat of integers and constants, such as a first token."""
    items = [item for item in node.inputs if not _is_empty(item)]
    kinds = [kind_of(node, item) for item in items]
    check_alike(kinds)
    values = [whole(node, item) for item in items if isinstance(item, Value)]
    rank = len(values[0].type.shape)
    axis = axis_of(node.integer("axis", 1), rank + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    if len(values) == len(items):
        return values[0] if len(values) == 1 else node.add(Concat(axis), *values)
    x = node.part("values", Concat(axis), *values) if len(values) > 1 else values[0]
    places: list[int] = []
    constants, seen, rest = [], 0, iter(values)
    for item in items:
        row = None if isinstance(item, Value) else _row(node, item, rank)
        length = (next(rest).type.shape if row is None else row.shape)[axis]
        places += range(seen, seen + length) if row is None else (_OUTSIDE,) * length
        seen += length if row is None else 0
        around = (*x.type.shape[:axis], length, *x.type.shape[axis + 1 :])
        constants.append(np.zeros(around, np.int64) if row is None else row.astype(np.int64))
    kept = [range(length) for length in x.type.shape]
    whole_places = (*kept[:axis], places, *kept[axis + 1 :])
    return _filled(node, x, whole_places, np.concatenate(constants, axis), kinds[0])


def pad(node: NodeContext) -> Value:
    """Pad of integers."""
    if node.text("mode", "constant") != "constant":
        return rearrange(node)
    kind, x = kind_of(node, node.activation()), whole(node, node.activation())
    begins, ends = pad_ends(node, x)
    lengths = [n + b + e for n, b, e in zip(x.type.shape, begins, ends, strict=True)]
    if prod(max(1, length) for length in lengths) > MOST_ON_HOST:
        raise Refused(f"{node.op_type} of integers gives more than {MOST_ON_HOST} elements")
    places = [
        [at if 0 <= at < length else _OUTSIDE for at in range(-begin, length + end)]
        for length, begin, end in zip(x.type.shape, begins, ends, strict=True)
    ]
    given = node.fixed(2, "value")
    value = 0 if given is None or not given.size else int(given.reshape(-1)[0])
    return _filled(node, x, places, np.int64(value), kind)


def _filled(
    node: NodeContext,
    x: Value,
    places: Sequence[Sequence[int]],
    constants: Array | np.int64,
    kind: int,
) -> Value:
    """Numbers at places of each axis, and constants where any of these is outside."""
    shape = tuple(map(len, places))
    inside = np.ones(shape, np.int64)
    for axis, row in enumerate(places):
        if list(row) != list(range(x.type.shape[axis])):
            x = node.part(f"axis{axis}", Take(axis, tuple(max(0, at) for at in row)), x)
        spread = [1] * len(shape)
        spread[axis] = len(row)
        inside *= (np.array(row) != _OUTSIDE).reshape(spread)
    given = {"inside": inside, "constants": np.broadcast_to(constants, shape).astype(np.int64)}
    mask, others = (node.scope.constant(f"{node.name}.{n}", array) for n, array in given.items())
    return note_computed(node.scope, node.add(Integer("where"), mask, x, others), kind)


def _row(node: NodeContext, item: AbstractValue, rank: int) -> Array:
    """A constant without its batch axis."""
    assert isinstance(item, KnownArray)
    if any(array.ndim != rank + 1 for array in item.arrays):
        found = item.arrays[0].shape
        raise InvalidNode(f"joins samples of {rank} axes with a constant of shape {found}")
    return per_sample(node, item, rank)


def _is_empty(item: AbstractValue) -> bool:
    return isinstance(item, KnownArray) and not item.arrays[0].size
