"""Products of many rows with the weights of a few outputs."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_FEW = 32  # outputs
_SMALL = 10**6  # multiplications, up to which OpenBLAS copies no operand


def sums_of(seen: Array, weights: Array) -> Array:
    """Products of ``groups x rows x inputs`` with ``groups x inputs x outputs``.

    For few outputs they are taken in blocks of rows that are small matrices: for one product of
    all, a BLAS copies every row, which then takes longer than to multiply it.
    """
    groups, rows, inputs = seen.shape
    outputs = weights.shape[2]
    step = _SMALL // max(1, inputs * outputs)
    if outputs > _FEW or outputs < 2 or not 8 <= step < rows:
        found: Array = seen @ weights
        return found
    found, weights = np.empty((groups, rows, outputs)), np.ascontiguousarray(weights)
    whole = rows - rows % step
    blocks, into = (
        array[:, :whole].reshape(groups, -1, step, array.shape[2]) for array in (seen, found)
    )
    np.matmul(blocks, weights[:, None], out=into)
    np.matmul(seen[:, whole:], weights, out=found[:, whole:])
    return found
