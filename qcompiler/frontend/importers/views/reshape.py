"""Importers of what only arranges values: reshapes and transposes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, MixesBatch, fixes_batch
from qcompiler.frontend.model.placement import FIRST, WHOLE, Placement
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import Value
from qcompiler.ir.view import Reshape, Transpose

_BATCH = (
    "samples must stay independent: keep the batch axis as it is, or fix it at 1 with "
    "--input-shape NAME=1,.."
)


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front; ``rank`` counts the batch axis."""
    if not -rank <= axis < rank:
        raise InvalidNode(f"has axis {axis}, but its input has {rank} axes")
    return axis % rank


def mixes_batch(node: NodeContext) -> MixesBatch:
    """The refusal of what does not keep samples apart."""
    return MixesBatch(f"{node.op_type} mixes the batch axis with others", _BATCH)


def with_placement(node: NodeContext, value: Value, place: Placement) -> Value:
    """The same sample, called one whose batch axis has this place in the model."""
    if node.placement(value) == place:
        return value
    found = node.part("moved", Transpose(tuple(range(len(value.type.shape)))), value)
    node.scope.batch_axis[found.name] = place
    return _of_kind(node, found, value)


def _of_kind(node: NodeContext, found: Value, value: Value) -> Value:
    """A view of a value, whose integers are those of the value."""
    scope = node.scope
    if value.name in scope.kinds:
        scope.kinds[found.name] = scope.kinds[value.name]
    if value.name in scope.truncated:
        scope.truncated.add(found.name)
    return found


def placed(node: NodeContext, value: Value, place: Placement) -> Value:
    """The same value with its batch axis elsewhere; refused unless a batch of one allows that."""
    at = place.at
    if node.placement(value) == place:
        return value
    (full, *more) = node.full_shapes(value)
    if more or not node.scope.single or (at is not None and full[at : at + 1] != (1,)):
        raise mixes_batch(node)
    sample = full if at is None else full[:at] + full[at + 1 :]
    if sample != value.type.shape:
        value = _of_kind(node, node.part("sample", Reshape(sample), value), value)
    return with_placement(node, value, place)


def reshaped_view(node: NodeContext, x: Value, shapes: Sequence[Shape]) -> Value:
    """The value under another shape, given with its batch axis under each probe.

    The batch axis is where as many elements are in front of it as before. It may be joined with
    neighbours there.
    """
    place = node.placement(x)
    begin = 0 if place.at is None else place.at + place.outer
    before = prod(x.type.shape[:begin])
    places = (_place(shapes, node.scope.probes, before, at) for at in range(len(shapes[0])))
    found = [one for one in places if one is not None]
    apart = [one for one in found if not one[0].joined_axes]
    if node.scope.single and not apart:
        one = shapes[0][:1] == (1,)
        new, sample = (FIRST, shapes[0][1:]) if one else (WHOLE, shapes[0])
    elif found:
        new, sample = next((one for one in apart if one[0] == place), (apart or found)[0])
    else:
        raise mixes_batch(node)
    if sample == x.type.shape:
        return with_placement(node, x, new)
    view = node.add(Reshape(sample), x)
    node.scope.batch_axis[view.name] = new
    return view


def _place(
    shapes: Sequence[Shape], probes: Sequence[int], before: int, at: int
) -> tuple[Placement, Shape] | None:
    """The batch axis at a place of these shapes, and a sample then; None if it cannot be there.

    ``before`` is the number of elements in front of the batch axis.
    """
    samples = set()
    for shape, probe in zip(shapes, probes, strict=True):
        front = prod(shape[:at])
        outer, rest = divmod(before, front) if front else (0, 1)
        if len(shape) <= at or rest or not outer or shape[at] % (outer * probe):
            return None
        samples.add((shape[:at], outer, shape[at] // (outer * probe), shape[at + 1 :]))
    if len(samples) > 1:
        return None
    front_axes, outer, inner, behind = samples.pop()
    joined = [n for n in (outer, inner) if n > 1]
    return Placement(at, int(outer > 1), int(inner > 1)), (*front_axes, *joined, *behind)


def reshape(node: NodeContext) -> Value:
    """Reshape: the target may hold 0 (the same) and -1 (the rest)."""
    x, target = node.activation(), node.known(1, "shape")
    if target is None:
        raise InvalidNode("has no shape")
    if target.arrays[0].ndim != 1:
        raise InvalidNode(f"has a shape in {target.arrays[0].ndim} axes, not a list")
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
    given = axes_given(node, 13)
    shapes = []
    for full in node.full_shapes(x):
        if given is None:
            dropped = {axis for axis, length in enumerate(full) if length == 1}
        else:
            dropped = {axis_of(axis, len(full)) for axis in given}
        wrong = {axis for axis in dropped if full[axis] != 1}
        if wrong - {node.placement(x).at}:
            raise InvalidNode(f"drops an axis of {full} that is longer than 1")
        if wrong:
            raise mixes_batch(node)
        shapes.append(tuple(n for axis, n in enumerate(full) if axis not in dropped))
    return reshaped_view(node, x, shapes)


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
    return reshaped_view(node, x, shapes)
