"""Constants that have an axis of samples: they must be the same for all."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Diagnostic

from .constant_folding import PROBES, KnownArray
from .node_context import NodeContext, fixed
from .node_errors import MixesBatch, differs
from .onnx_tensor import Array

_ROUNDING = 1e-5  # of float32 sums, relative to the largest
_BATCH = "fix the batch size at that of the indices, as --input-shape NAME=1,.. for one sample"


def per_sample(node: NodeContext, known: KnownArray, rank: int) -> Array:
    """A constant operand without its batch axis, if it has ``rank`` axes beside that.

    Arrays with fewer axes are given as they are. Refused if they are of more, or samples differ. A
    model of open batch size may hold them for as many samples as it was exported with.
    """
    array = known.arrays[0]
    if array.ndim > rank + 1:
        grows = f"{node.op_type} with a constant that adds axes to the value is not supported"
        raise MixesBatch(grows)
    if array.ndim <= rank:
        return fixed(known, node.op_type, "constant")
    exported = node.scope.probes == PROBES and known.fixed is not None
    for found, probe in zip(known.arrays, node.scope.probes, strict=True):
        if not (exported or len(found) in (1, probe)) or not repeats(found, array[:1]):
            raise differs(f"the constant of {node.op_type}")
    first: Array = array[0]
    return first


def of_any_batch(node: NodeContext, known: KnownArray, axis: int) -> KnownArray:
    """A constant with an axis of samples, which in a model of open batch size has any length.

    Refused if it is of some samples that differ.
    """
    array = known.fixed
    if node.scope.probes != PROBES or array is None or not array.shape[axis]:
        return known
    row = array.take([0], axis)
    if not repeats(array, row):
        raise differs(f"the constant of {node.op_type}")
    return KnownArray(tuple(row.repeat(probe, axis) for probe in PROBES), known.name)


def tell_of_rows(node: NodeContext, known: KnownArray | None, axis: int) -> None:
    """Tell of constant indices for some samples in a model that takes any number of them."""
    array = known.fixed if known is not None else None
    if node.scope.probes == PROBES and array is not None and axis < array.ndim:
        rows = array.shape[axis]
        what = (
            f"the indices of {node.op_type} are for {rows} sample{'s' if rows != 1 else ''}: ONNX "
            "takes them for the first of a batch only, the program for each"
        )
        node.scope.assumed.append(Diagnostic(what, (node.name,), _BATCH))


def repeats(array: Array, row: Array) -> bool:
    """Whether all rows of an array are this one; NaN counts as equal to itself.

    Rows that a product of matrices made may differ in their last bits, as processors sum in blocks.
    """
    row = np.broadcast_to(row, array.shape)
    if array.dtype.kind != "f":
        return np.array_equal(array, row)
    size = np.abs(row[np.isfinite(row)]).max(initial=0)
    return bool(np.isclose(array, row, _ROUNDING, _ROUNDING * size, equal_nan=True).all())
