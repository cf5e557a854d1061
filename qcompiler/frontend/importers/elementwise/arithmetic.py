"""Importers of what joins values: sums and concatenations of several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, differs
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample, repeats
from qcompiler.frontend.model.scope import Masked, Shape
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Affine, Concat, Pad

from .activations import collapsed, spread
from .formulas import sum_of_choices
from .masks import bounded, hidden_by, note_mask, without_mask
from .padding import padding

Scaled: TypeAlias = tuple[Value, float]  # a value, and what it is multiplied by
_NOTHING = np.zeros((), np.float32)


def add(node: NodeContext) -> Value:
    """Add of a value to another or to a constant."""
    return _sum(node, (1.0, 1.0))


def sub(node: NodeContext) -> Value:
    """Sub of a value from another, of a constant, or from one."""
    return _sum(node, (1.0, -1.0))


def total(node: NodeContext) -> Value:
    """Sum of any number of values."""
    return _sum(node, (1.0,) * len(node.inputs))


def mean(node: NodeContext) -> Value:
    """Mean of any number of values, element by element."""
    return _sum(node, (1 / max(1, len(node.inputs)),) * len(node.inputs))


def _sum(node: NodeContext, factors: tuple[float, ...]) -> Value:
    """Sum of what depends on the data, each times a factor, and a shift for what does not."""
    if len(node.inputs) != len(factors) or None in node.inputs:
        raise InvalidNode(f"has {len(node.inputs)} inputs")
    terms: dict[str, tuple[Value, float]] = {}
    shifts: list[Array] = []
    rank = max(len(item.type.shape) for item in node.inputs if isinstance(item, Value))
    for item, factor in zip(node.inputs, factors, strict=True):
        if isinstance(item, Value):
            terms[item.name] = (item, terms.get(item.name, (item, 0.0))[1] + factor)
        elif isinstance(item, KnownArray):
            array = per_sample(node, item, rank)
            if array.dtype.kind in "iu" and _of_sums(node):
                array = array.astype(np.float32)
            shifts.append(float32(bounded(array), item.name) * factor)
    return behind_masks(node, list(terms.values()), _shift(shifts))


def _of_sums(node: NodeContext) -> bool:
    """Whether all values are sums of integers, to which onnxruntime may have added a bias."""
    values = (item for item in node.inputs if isinstance(item, Value))
    return all(value.name in node.scope.sums for value in values)


def behind_masks(node: NodeContext, terms: Sequence[Scaled], shift: Array) -> Value:
    """The sum of values, each times a factor, and a shift: any may be the mask of a softmax."""
    shape = _common(node, [value.type.shape for value, _ in terms], shift)
    found = _total(node, terms, shift, shape)
    masked = Masked(found, np.zeros(shape, np.bool_))
    if (hidden := hidden_by(shift)) is not None:
        masked = replace(masked, hidden=masked.hidden | hidden, number=float(shift[hidden].max()))
        shift = np.where(hidden, np.float32(0), shift)
    bare = list[Scaled]()
    for value, factor in terms:
        if factor > 0 and (inner := without_mask(node, value)) is not None:
            value, masked = inner.bare, masked.behind(inner)
        bare.append((value, factor))
    masks = [padding(node, *term) for term in bare]
    if all(masks):  # and what they will be added to is not yet known
        masks[0] = None
    for mask in filter(None, masks):
        masked = masked.of_data(mask.present, mask.number)
        shift = shift + np.float32(mask.shift)
    if masked.numbers:
        rest = [term for term, mask in zip(bare, masks, strict=True) if mask is None]
        unmasked = _total(node.within("unmasked"), rest, shift, shape)
        note_mask(node, found, replace(masked, bare=unmasked))
    return found


def _total(node: NodeContext, terms: Sequence[Scaled], shift: Array, shape: Shape) -> Value:
    grown = [(spread(node, value, shape), factor) for value, factor in terms]
    if len(grown) == 1:
        return affine(node, *grown[0], shift)
    if shift.size == 1 and (choice := sum_of_choices(node, grown, float(shift.reshape(-1)[0]))):
        return node.add(*choice)
    scaled = [affine(node, value, factor, _NOTHING, "term") for value, factor in grown]
    if not shift.any():
        return node.add(Add(), *scaled)
    return affine(node, node.part("sum", Add(), *scaled), 1.0, shift)


def _shift(arrays: Sequence[Array]) -> Array:
    """The sum of some constants for one sample."""
    total = _NOTHING
    for array in arrays:
        try:
            total = total + array
        except ValueError as error:
            raise InvalidNode(
                f"combines constants of shape {total.shape} and {array.shape}"
            ) from error
    return total.astype(np.float32)


def _common(node: NodeContext, shapes: Sequence[Shape], shift: Array) -> Shape:
    if len({len(shape) for shape in shapes}) > 1:
        raise mixes_batch(node)
    try:
        return np.broadcast_shapes(*shapes, shift.shape)
    except ValueError as error:
        found = ", ".join(map(str, shapes))
        constant = f" with a constant of {shift.shape}" if shift.ndim else ""
        raise InvalidNode(f"combines samples of shape {found}{constant}") from error


def affine(node: NodeContext, x: Value, factor: float, shift: Array, role: str = "") -> Value:
    """``x * factor + shift``; the node's result, or a part of it that has a role."""
    if factor == 1 and not shift.any():
        return x
    shift = collapsed(shift)
    rank = (1,) * len(x.type.shape)
    scale = node.constant("scale", np.full(rank, factor, np.float32))
    operands = x, scale, node.constant("shift", shift.reshape(shift.shape or rank))
    return node.part(role, Affine(), *operands) if role else node.add(Affine(), *operands)


def difference(node: NodeContext, a: Value, b: Value) -> Value:
    """One value less another of its shape, as a part of the node's result."""
    return node.part("difference", Add(), a, affine(node, b, -1.0, _NOTHING, "minus"))


def concat(node: NodeContext) -> Value:
    """Concat along an axis of the sample; constants among the inputs are a shift of padding."""
    rank = max(len(item.type.shape) for item in node.inputs if isinstance(item, Value)) + 1
    axis = axis_of(node.integer("axis", 1), rank) - 1
    if axis < 0:
        raise mixes_batch(node)
    values: list[Value] = []
    around: list[int] = [0]  # lengths of the constants before, between and behind them
    filling: list[tuple[int, Array]] = []
    length = 0
    for item in node.inputs:
        if isinstance(item, Value):
            values.append(item)
            around.append(0)
            length += item.type.shape[axis] if len(item.type.shape) > axis else 0
        elif isinstance(item, KnownArray) and item.arrays[0].size:
            array = _row(node, item, rank)
            filling.append((length, array))
            around[-1] += array.shape[axis]
            length += array.shape[axis]
    if not filling:
        return values[0] if len(values) == 1 else node.add(Concat(axis), *values)
    padded = [
        _padded(node, value, axis, around[0] if index == 0 else 0, around[index + 1])
        for index, value in enumerate(values)
    ]
    joined = node.part("joined", Concat(axis), *padded) if len(padded) > 1 else padded[0]
    shift = np.zeros(joined.type.shape, np.float32)
    for begin, array in filling:
        shift[(slice(None),) * axis + (slice(begin, begin + array.shape[axis]),)] = array
    return affine(node, joined, 1.0, shift)


def _row(node: NodeContext, known: KnownArray, rank: int) -> Array:
    """A constant of which every sample of the batch has the same."""
    whole = known.arrays[0].dtype.kind in "iub"
    reals = (array.astype(np.float32) if whole else array for array in known.arrays)
    rows = [float32(array, known.name) for array in reals]
    if any(row.ndim != rank or not len(row) for row in rows):
        raise InvalidNode(
            f"joins samples of {rank - 1} axes with a constant of shape {rows[0].shape}"
        )
    first: Array = rows[0][0]
    if not all(repeats(row, first) for row in rows):
        raise differs(f"the constant of {node.op_type}")
    return first


def _padded(node: NodeContext, value: Value, axis: int, before: int, behind: int) -> Value:
    if not before and not behind:
        return value
    rank = len(value.type.shape)
    pads = [0] * (2 * rank)
    pads[axis], pads[rank + axis] = before, behind
    return node.part("padded", Pad(tuple(pads)), value)
