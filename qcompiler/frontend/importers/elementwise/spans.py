"""Distances between values and their own extremes, as ``x - min(x)``, ``max(x) - min(x)``."""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qcompiler.frontend.model.scope import Scope
from qcompiler.ir import Node, Value
from qcompiler.ir.ann import Affine, MaxPool
from qcompiler.ir.index_maps import Arrangement, places_of
from qcompiler.ir.view import View

_Indices: TypeAlias = NDArray[np.intp]


class _Largest(NamedTuple):
    """What each element of a value is, by an ancestor: the largest of ``factor`` times a group.

    ``groups`` are those of the elements of the value, ``members`` those that the elements of the
    ancestor belong to; -1 is none.
    """

    factor: float
    groups: _Indices
    members: _Indices
    pooled: bool = False


def is_span(scope: Scope, one: Value, other: Value) -> bool:
    """Whether a sum of two values is at least 0, as an element and the largest of minus all are."""
    first, second = _ancestors(scope, one), _ancestors(scope, other)
    return any(_have_common_elements(first[name], second[name]) for name in {*first} & {*second})


def _have_common_elements(one: _Largest, other: _Largest) -> bool:
    """Whether the groups of each pair of elements share one, with opposite signs."""
    if one.factor != -other.factor or one.groups.size != other.groups.size:
        return False
    shared = (one.members >= 0) & (other.members >= 0)
    count = max(other.groups.max(), other.members.max()) + 1
    pairs = one.members[shared] * count + other.members[shared]
    return bool(np.isin(one.groups * count + other.groups, pairs).all())


def _ancestors(scope: Scope, value: Value) -> dict[str, _Largest]:
    """What a value is by each of those that factors, views and maxima made it of."""
    each = np.arange(prod(value.type.shape))
    known = _Largest(1.0, each, each)
    found = {value.name: known}
    while made := scope.builder.producer(value):
        step = _step(made, known)
        if step is None:
            break
        known, source = step, made.operands[0]
        assert isinstance(source, Value)
        value = source
        found[value.name] = known
    return found


def _step(made: Node, known: _Largest) -> _Largest | None:
    """The same by what a node reads; None if it is not known."""
    source = made.operands[0].type.shape
    if isinstance(made.op, View):
        return _arranged(known, places_of(source, [Arrangement(made.op, *made.arrays)]), source)
    match made.op:
        case Affine() if made.arrays[0].size == 1 and not made.arrays[1].any():
            return known._replace(factor=known.factor * float(made.arrays[0].reshape(-1)[0]))
        case MaxPool(_, pads, _, kernel) if known.factor > 0 and not known.pooled:
            if kernel == source[1:] and not any(pads):
                members = np.arange(source[0]).repeat(prod(kernel))
                return _Largest(known.factor, known.groups, members, True)
    return None


def _arranged(known: _Largest, places: _Indices, source: tuple[int, ...]) -> _Largest:
    """The same by the source of a view, given the places that its elements come from."""
    if not known.pooled:
        each = np.arange(prod(source))
        return _Largest(known.factor, places.reshape(-1)[known.groups], each)
    members = np.full(prod(source), -1)
    members[places.reshape(-1)] = known.members
    return known._replace(members=members)
