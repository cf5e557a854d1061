"""Values whose batch axis does not stand first, as recurrent networks have them.

Such a value is one sample like any other; `Scope.batch_axis` notes where its batch axis stands.
Only what moves, drops or keeps axes may read it, and recurrent cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Value
from qcompiler.ir.view import Reshape, Take, Transpose

from .importers_view import axis_of, mixes_batch
from .step import Broken, Step

Importer: TypeAlias = Callable[[Step], Value]


def position(step: Step, value: Value) -> int:
    """Where the batch axis of a value stands."""
    return step.scope.batch_axis.get(value.name, 0)


def marked(step: Step, value: Value, at: int) -> Value:
    """The same value with its batch axis elsewhere."""
    rank = tuple(range(len(value.type.shape)))
    found = step.part("moved", Transpose(rank), value)
    if at:
        step.scope.batch_axis[found.name] = at
    return found


def transpose(step: Step) -> Value:
    """Transpose of all axes, that of the batch included."""
    x = step.activation()
    rank, at = len(x.type.shape) + 1, position(step, x)
    perm = step.integers("perm") or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        raise Broken(f"has perm {perm}, but its input has {rank} axes")
    inner = tuple(axis - (axis > at) for axis in perm if axis != at)
    if not at and not perm[0]:
        return x if inner == tuple(range(rank - 1)) else step.add(Transpose(inner), x)
    return marked(step, step.part("perm", Transpose(inner), x), perm.index(at))


def squeeze(step: Step) -> Value:
    """Squeeze of axes that are not the batch's."""
    x = step.activation()
    rank, at = len(x.type.shape) + 1, position(step, x)
    axes = step.integers("axes") if step.opset < 13 else step.fixed_integers(1, "axes")
    full = [*x.type.shape[:at], 0, *x.type.shape[at:]]
    dropped = {axis_of(a, rank) for a in axes} if axes else {i for i in range(rank) if full[i] == 1}
    if at in dropped or any(full[axis] != 1 for axis in dropped):
        raise mixes_batch(step)
    shape = tuple(n for i, n in enumerate(full) if i != at and i not in dropped)
    found = step.part("squeezed", Reshape(shape), x)
    return marked(step, found, at - sum(axis < at for axis in dropped))


def gather(step: Step) -> Value:
    """Gather of one index of an axis that is not the batch's."""
    x = step.activation()
    at, indices = position(step, x), step.fixed(1, "indices")
    axis = axis_of(step.integer("axis", 0), len(x.type.shape) + 1)
    if indices is None or indices.size != 1 or indices.ndim or axis == at:
        raise mixes_batch(step)
    inner = axis - (axis > at)
    index = int(indices) % x.type.shape[inner]
    taken = step.part("taken", Take(inner, (index,)), x)
    shape = (*x.type.shape[:inner], *x.type.shape[inner + 1 :])
    return marked(step, step.part("gathered", Reshape(shape), taken), at - (axis < at))


def reshape(step: Step) -> Value:
    """Reshape behind the batch axis, with zeros for the axes up to it."""
    x = step.activation()
    at, target = position(step, x), step.fixed_integers(1, "shape")
    if target is None or any(n != 0 for n in target[: at + 1]) or len(target) <= at + 1:
        raise mixes_batch(step)
    wanted = tuple(target[at + 1 :])
    behind = np.empty(x.type.shape[at:]).reshape(wanted).shape
    return marked(step, step.part("shaped", Reshape((*x.type.shape[:at], *behind)), x), at)


def same(step: Step) -> Value:
    """What does nothing."""
    return step.activation()


# What may read a value whose batch axis does not stand first, beside recurrent cells.
MOVED: Mapping[str, Importer] = {
    "Dropout": same,
    "Gather": gather,
    "Identity": same,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Transpose": transpose,
}
