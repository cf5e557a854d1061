"""Importers of what only arranges values: reshapes and transposes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from qcompiler.frontend.model.node_context import (
    InvalidNode,
    NodeContext,
    Refused,
    Shape,
    fixes_batch,
)
from qcompiler.ir import Value
from qcompiler.ir.view import Reshape, Transpose

_BATCH = "samples must stay independent: keep the batch axis as it is"


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front; ``rank`` counts the batch axis."""
    if not -rank <= axis < rank:
        raise InvalidNode(f"has axis {axis}, but its input has {rank} axes")
    return axis % rank


def mixes_batch(node: NodeContext) -> Refused:
    """The refusal of what does not keep samples apart."""
    return Refused(f"{node.op_type} mixes the batch axis with others", _BATCH)


def with_batch_axis(node: NodeContext, value: Value, at: int) -> Value:
    """The same value with its batch axis at a place."""
    if node.position(value) == at:
        return value
    found = node.part("moved", Transpose(tuple(range(len(value.type.shape)))), value)
    if at:
        node.scope.batch_axis[found.name] = at
    return found


def reshaped_view(
    node: NodeContext, x: Value, shapes: Sequence[Shape], at: int | None = None
) -> Value:
    """The value under another shape, given with its batch axis under each probe.

    ``at`` says where the batch axis stands then; without it, it is where as many elements are
    behind it as before.
    """
    fulls, probes, start = node.full_shapes(x), node.scope.probes, node.position(x)
    places = [
        q
        for q in range(min(map(len, shapes)))
        if all(
            shape[q] == probe and prod(shape[q + 1 :]) == prod(full[start + 1 :])
            for shape, full, probe in zip(shapes, fulls, probes, strict=True)
        )
        and len({shape[:q] + shape[q + 1 :] for shape in shapes}) == 1
    ]
    if not places or (at is not None and at not in places):
        raise mixes_batch(node)
    at = at if at is not None else start if start in places else places[0]
    sample = shapes[0][:at] + shapes[0][at + 1 :]
    if sample == x.type.shape and at == start:
        return x
    found = node.add(Reshape(sample), x)
    if at:
        node.scope.batch_axis[found.name] = at
    return found


def reshape(node: NodeContext) -> Value:
    """Reshape: the target may hold 0 (the same) and -1 (the rest)."""
    x, target = node.activation(), node.known(1, "shape")
    if target is None:
        raise InvalidNode("has no shape")
    keep_zeros = node.integer("allowzero", 0) != 0
    fulls = node.full_shapes(x)
    wanted = [tuple(int(n) for n in array.reshape(-1)) for array in target.arrays]
    copied = [_copy(f, w, keep_zeros) for f, w in zip(fulls, wanted, strict=True)]
    shapes = [_fill(f, c) for f, c in zip(fulls, copied, strict=True)]
    found = [shape for shape in shapes if shape is not None]
    if len(found) == len(fulls):
        return reshaped_view(node, x, found)
    if len(fulls) > 1 and (-1 in copied[0] or prod(copied[0]) % prod(fulls[0][1:]) == 0):
        raise fixes_batch("Reshape")
    raise InvalidNode(f"cannot reshape {fulls[0]} to {wanted[0]}")


def _copy(full: Shape, target: Shape, keep_zeros: bool) -> Shape:
    """The target with its zeros replaced by the lengths that they copy."""
    if target.count(-1) > 1 or min(target, default=0) < -1:
        raise InvalidNode(f"has the shape {target}")
    if keep_zeros:
        return target
    if any(length == 0 and axis >= len(full) for axis, length in enumerate(target)):
        raise InvalidNode(f"has the shape {target}, which copies an axis beyond those of {full}")
    return tuple(length or full[axis] for axis, length in enumerate(target))


def _fill(full: Shape, target: Shape) -> Shape | None:
    """The target with its -1 replaced; None if it has not as many elements."""
    rest = prod(length for length in target if length != -1)
    missing = prod(full) // rest if rest else 0
    shape = tuple(missing if length == -1 else length for length in target)
    return shape if prod(shape) == prod(full) else None


def flatten(node: NodeContext) -> Value:
    """Flatten: to two axes."""
    x = node.activation()
    axis = node.integer("axis", 1)
    fulls = node.full_shapes(x)
    rank = len(fulls[0])
    if not -rank <= axis <= rank:
        raise InvalidNode(f"has axis {axis}, but its input has {rank} axes")
    at = axis + rank if axis < 0 else axis
    return reshaped_view(node, x, [(prod(full[:at]), prod(full[at:])) for full in fulls])


def axes_given(node: NodeContext, since: int) -> tuple[int, ...] | None:
    """The axes of an operator: an attribute, or from opset ``since`` on an input."""
    return node.integers("axes") if node.opset < since else node.fixed_integers(1, "axes")


def squeeze(node: NodeContext) -> Value:
    """Squeeze: drops axes of length 1."""
    x = node.activation()
    given, at = axes_given(node, 13), node.position(x)
    shapes = []
    for full in node.full_shapes(x):
        if given is None:
            dropped = {axis for axis, length in enumerate(full) if length == 1}
        else:
            dropped = {axis_of(axis, len(full)) for axis in given}
        if any(full[axis] != 1 for axis in dropped - {at}):
            raise InvalidNode(f"drops an axis of {full} that is longer than 1")
        if at in dropped and full[at] != 1:
            raise mixes_batch(node)
        shapes.append(tuple(n for axis, n in enumerate(full) if axis not in dropped))
    left = None if at in dropped else at - sum(axis < at for axis in dropped)
    return reshaped_view(node, x, shapes, left)


def unsqueeze(node: NodeContext) -> Value:
    """Unsqueeze: inserts axes of length 1."""
    x = node.activation()
    given = axes_given(node, 13)
    if given is None:
        raise InvalidNode("has no axes")
    shapes = []
    for full in node.full_shapes(x):
        rank = len(full) + len(given)
        inserted = {axis_of(axis, rank) for axis in given}
        if len(inserted) != len(given):
            raise InvalidNode(f"inserts an axis twice: {given}")
        rest = iter(full)
        shapes.append(tuple(1 if axis in inserted else next(rest) for axis in range(rank)))
    kept = [axis for axis in range(rank) if axis not in inserted]
    return reshaped_view(node, x, shapes, kept[node.position(x)])
