"""Importers of what only moves values: run once on the numbers of the elements, and read back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from qcompiler.ir import Value, size
from qcompiler.ir.ann import Affine, Pad
from qcompiler.ir.places import Arrangement, arrangements

from .importers_view import mixes_batch
from .known import PROBES, Known, TooLarge, compute
from .onnx_tensor import Array
from .step import Broken, Refused, Step, fixes_batch

_FEW = (2, 3)  # batch sizes that tell samples apart


def arrange(step: Step, x: Value, places: Array) -> Value:
    """The elements of a sample at these places, by the simplest views."""
    return viewed_as(step, x, arrangements(places, x.type.shape))


def viewed_as(step: Step, x: Value, chain: Sequence[Arrangement]) -> Value:
    """Append views, one behind the other."""
    for op, places in chain:
        if places is None:
            x = step.part("view", op, x)
        else:
            x = step.part("view", op, x, step.scope.constant(f"{step.output}.places", places))
    return x


def move(step: Step) -> Value:
    """An operator that only moves values and fills with zeros, whatever its other operands say."""
    x = step.activation()
    return _placed(step, x, _numbers(step, x))


def _numbers(step: Step, x: Value) -> Array:
    """Number of the element, counted from 1, that each element of the result is; 0 is a zero."""
    others = [step.known(index, "operand") for index in range(1, len(step.inputs))]
    probes = step.scope.probes
    if probes == PROBES and all(known is None or known.fixed is not None for known in others):
        probes = _FEW
    names = ["x", *(f"k{index}" if known else "" for index, known in enumerate(others))]
    node = helper.make_node(step.op_type, names, ["y"], **step.attributes)
    found = []
    for index, probe in enumerate(probes):
        full = np.arange(1.0, probe * size(x.type) + 1).reshape(probe, *x.type.shape)
        fed: list[Known | None] = [Known((full,), "x")]
        fed += (Known((k.arrays[index],), k.name) if k else None for k in others)
        try:
            found.append(_sample(compute(node, step.opset, fed, 1)[0].arrays[0], full))
        except TooLarge as error:
            raise Refused(f"{step.op_type} would make too large a value") from error
        except Exception as error:  # whatever onnx finds wrong with the node
            if step.scope.probes == PROBES:
                raise fixes_batch(step.op_type) from error
            raise Broken(f"cannot be computed ({error})") from error
    first = found[0]
    if first is None or any(one is None or not np.array_equal(one, first) for one in found):
        raise mixes_batch(step)
    return first


def _sample(result: Array, full: Array) -> Array | None:
    """Numbers in the first sample, None if others are not arranged like it."""
    batch, length = len(full), full[0].size
    if not result.ndim or len(result) != batch:
        return None
    first: Array = result[0]
    ahead = length * np.arange(batch).reshape(-1, *(1,) * first.ndim)
    same = np.array_equal(result, np.where(first > 0, first + ahead, 0))
    return first.astype(np.int64) if same and first.max(initial=0) <= length else None


def _placed(step: Step, x: Value, numbers: Array) -> Value:
    if not numbers.any():
        raise Refused(f"the result of {step.op_type} does not depend on the data")
    if numbers.all():
        return arrange(step, x, numbers - 1)
    begins, ends = [], []
    for axis in range(numbers.ndim):
        used = np.flatnonzero(numbers.any(axis=tuple(a for a in range(numbers.ndim) if a != axis)))
        begins.append(int(used[0]))
        ends.append(numbers.shape[axis] - 1 - int(used[-1]))
    pairs = zip(begins, numbers.shape, ends, strict=True)
    inner = numbers[tuple(slice(b, n - e) for b, n, e in pairs)]
    if inner.all():
        return step.add(Pad((*begins, *ends)), arrange(step, x, inner - 1))
    return _masked(step, x, numbers)


def _masked(step: Step, x: Value, numbers: Array) -> Value:
    """Zeros between other values: a scale of 0."""
    same = numbers.shape == x.type.shape
    other = np.arange(numbers.size).reshape(numbers.shape) if same else np.zeros_like(numbers)
    x = arrange(step, x, np.where(numbers > 0, numbers - 1, other))
    scale = step.constant("scale", (numbers > 0).astype(np.float32))
    shift = step.constant("shift", np.zeros((1,) * numbers.ndim, np.float32))
    return step.add(Affine(), x, scale, shift)
