"""Importers of what only moves values: run once on the numbers of the elements, and read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import helper

from qcompiler.frontend.model.constant_folding import PROBES, KnownArray, TooLarge, compute
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused, fixes_batch
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import of_any_batch, tell_of_rows
from qcompiler.ir import Value, size
from qcompiler.ir.ann import Affine, Pad
from qcompiler.ir.index_maps import Arrangement, arrangements

from .reshape import axis_of, mixes_batch

_CHOICE = "write it as a sum of both values, each multiplied by a constant mask"
_REDUCTION = "write it as Mul, Max or Min with a constant of the shape of the value"
_SHORTER = ("GatherElements", "ScatterElements")  # indices may have fewer rows than the value
_FEW = (2, 3)  # batch sizes that tell samples apart


def arrange(node: NodeContext, x: Value, places: Array) -> Value:
    """The elements of a sample at these places, by the simplest views."""
    return viewed_as(node, x, arrangements(places, x.type.shape))


def viewed_as(node: NodeContext, x: Value, chain: Sequence[Arrangement]) -> Value:
    """Append views, one behind the other."""
    for op, places in chain:
        if places is None:
            x = node.part("view", op, x)
        else:
            x = node.part("view", op, x, node.scope.constant(f"{node.output}.places", places))
    return x


def rearrange(node: NodeContext) -> Value:
    """An operator that only moves values and fills with zeros, whatever its other operands say."""
    return _placed(node, *_numbers(node))


def scatter_or_where(node: NodeContext) -> Value:
    """ScatterElements, ScatterND and Where: constants take the place of some values."""
    if (reduction := node.text("reduction", "none")) not in ("none", "add"):
        raise Refused(f"{node.op_type} with reduction {reduction} is not supported", _REDUCTION)
    x, numbers = _numbers(node)
    probes, _ = _run(node, x, lambda probe: np.zeros((probe, *x.type.shape)), constants=True)
    if not all(np.array_equal(one, np.broadcast_to(probes[0][0], one.shape)) for one in probes):
        raise mixes_batch(node)
    if numbers.all() and not probes[0].any():
        return _placed(node, x, numbers)
    zero, shift = np.ones((1,) * numbers.ndim, np.float32), probes[0][0].astype(np.float32)
    constants = node.constant("one", zero), node.constant("constants", shift)
    return node.add(Affine(), _placed(node, x, numbers), *constants)


def _numbers(node: NodeContext) -> tuple[Value, Array]:
    """Number of the element, counted from 1, that each element of the result is; 0 is a zero."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    if len(values) > 1 and node.op_type == "Where":
        raise Refused("Where with two data-dependent values is not supported", _CHOICE)
    x = values[0]
    if node.op_type in _SHORTER and (axis := _axis_of_samples(node, x)) is not None:
        tell_of_rows(node, node.known(1, "indices"), axis)

    def count(probe: int) -> Array:
        return np.arange(1.0, probe * size(x.type) + 1).reshape(probe, *x.type.shape)

    results, probes = _run(node, x, count, constants=False)
    found = [_sample(one, count(p)) for one, p in zip(results, probes, strict=True)]
    first = found[0]
    if first is None or any(one is None or not np.array_equal(one, first) for one in found):
        raise mixes_batch(node)
    return x, first


def _run(
    node: NodeContext, x: Value, data: Callable[[int], Array], constants: bool
) -> tuple[list[Array], tuple[int, ...]]:
    """The node's result for data under each of some batch sizes.

    ``constants`` keeps real numbers among the other operands, which else are 0.
    """
    others = [
        None if item is x else _of_samples(node, x, index) for index, item in enumerate(node.inputs)
    ]
    probes = node.scope.probes
    if probes == PROBES and all(known is None or known.fixed is not None for known in others):
        probes = _FEW
    place = node.placement(x)
    joined = place.lengths(x.type.shape)
    names = [f"i{n}" if item is not None else "" for n, item in enumerate(node.inputs)]
    proto = helper.make_node(node.op_type, names, ["y"], **node.attributes)
    found = []
    for index, probe in enumerate(probes):
        given = place.to_model(data(probe))
        fed = [KnownArray((given,), "x") if item is x else None for item in node.inputs]
        for at, known in enumerate(others):
            if known is not None:
                array = known.arrays[index]
                if array.dtype.kind == "f":
                    array = array.astype(float) if constants else np.zeros(array.shape)
                fed[at] = KnownArray((array,), known.name)
        try:
            result = compute(proto, node.opset, fed, 1)[0].arrays[0]
        except TooLarge as error:
            raise Refused(f"{node.op_type} exceeds the largest supported size") from error
        except Exception as error:  # whatever onnx finds wrong with the node
            if node.scope.probes == PROBES:
                raise fixes_batch(node.op_type) from error
            raise InvalidNode(f"cannot be computed ({error})") from error
        try:
            found.append(place.from_model(result, joined, probe))
        except ValueError as error:  # the batch axis is no longer there
            raise mixes_batch(node) from error
    return found, probes


def _of_samples(node: NodeContext, x: Value, index: int) -> KnownArray | None:
    """Another operand; where it has something for each sample, for any number of these."""
    known, axis = node.known(index, "operand"), _axis_of_samples(node, x)
    if known is None or axis is None or axis >= known.arrays[0].ndim:
        return known
    return of_any_batch(node, known, axis)


def _axis_of_samples(node: NodeContext, x: Value) -> int | None:
    """The axis of the other operands that belongs to the batch axis of a value."""
    place = node.placement(x)
    at = None if place.joined_axes else place.at
    match node.op_type:
        case "ReverseSequence":
            return 0 if at == node.integer("batch_axis", 1) else None
        case "GatherND":
            return at if at is not None and at < node.integer("batch_dims", 0) else None
        case "GatherElements" | "ScatterElements":
            rank = place.rank(x.type.shape)
            return None if at == axis_of(node.integer("axis", 0), rank) else at
    return None


def _sample(result: Array, full: Array) -> Array | None:
    """Numbers in the first sample, None if others are not arranged like it."""
    batch, length = len(full), full[0].size
    if not result.ndim or len(result) != batch:
        return None
    first: Array = result[0]
    ahead = length * np.arange(batch).reshape(-1, *(1,) * first.ndim)
    same = np.array_equal(result, np.where(first > 0, first + ahead, 0))
    return first.astype(np.int64) if same and first.max(initial=0) <= length else None


def _placed(node: NodeContext, x: Value, numbers: Array) -> Value:
    if not numbers.any():
        raise Refused(f"the result of {node.op_type} does not depend on the data")
    if numbers.all():
        return arrange(node, x, numbers - 1)
    begins, ends = [], []
    for axis in range(numbers.ndim):
        used = np.flatnonzero(numbers.any(axis=tuple(a for a in range(numbers.ndim) if a != axis)))
        begins.append(int(used[0]))
        ends.append(numbers.shape[axis] - 1 - int(used[-1]))
    pairs = zip(begins, numbers.shape, ends, strict=True)
    inner = numbers[tuple(slice(b, n - e) for b, n, e in pairs)]
    if inner.all():
        return node.add(Pad((*begins, *ends)), arrange(node, x, inner - 1))
    return _masked(node, x, numbers)


def _masked(node: NodeContext, x: Value, numbers: Array) -> Value:
    """Zeros between other values: a scale of 0."""
    same = numbers.shape == x.type.shape
    other = np.arange(numbers.size).reshape(numbers.shape) if same else np.zeros_like(numbers)
    x = arrange(node, x, np.where(numbers > 0, numbers - 1, other))
    scale = node.constant("scale", (numbers > 0).astype(np.float32))
    shift = node.constant("shift", np.zeros((1,) * numbers.ndim, np.float32))
    return node.add(Affine(), x, scale, shift)
