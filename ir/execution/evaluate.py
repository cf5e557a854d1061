"""The tensor level in numpy: the reference model for passes and tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcompiler.ir.ann import (
    Add,
    Affine,
    ArgMax,
    BatchNorm,
    Clip,
    Concat,
    Conv,
    CumSum,
    Dense,
    Embed,
    Feed,
    Fill,
    Function,
    Integer,
    Lookup,
    MaxPool,
    Multiply,
    Pad,
    Reduce,
    Rescale,
    Softmax,
    SumPool,
    TopK,
)
from qcompiler.ir.ann.formula import values
from qcompiler.ir.ann.integers import whole_numbers
from qcompiler.ir.diagnostics import DataError
from qcompiler.ir.given import check_count, check_graph, frames_of
from qcompiler.ir.graph import Graph, Operand, Value
from qcompiler.ir.kernels import Array, convolve, pool_max, pool_sum
from qcompiler.ir.ops import Op
from qcompiler.ir.view import Pick, Reshape, Take, Transpose, arrange


def evaluate(graph: Graph, *inputs: Array) -> tuple[Array, ...]:
    """Run a graph of tensor-level operations on a batch; arrays are ``batch x shape``.

    Whole numbers become those of the input's type, and so do halves; float64 stays. Raises
    InvalidGraph for what is no graph, DataError for arrays that do not fit, TypeError for an
    operation of the spiking level.
    """
    check_graph(graph)
    check_count(inputs, graph.inputs)
    pairs = zip(graph.inputs, inputs, strict=True)
    known = {value.name: frames_of(array, value) for value, array in pairs}

    def get(operand: Operand) -> Array:
        return known[operand.name] if isinstance(operand, Value) else operand.data

    for node in graph.nodes:
        known[node.result.name] = apply(node.op, *map(get, node.operands))
    return tuple(known[value.name] for value in graph.outputs)


def apply(op: Op, x: Array, *constants: Array) -> Array:
    """Run one tensor-level or view operation; x is a batch, constants have no batch axis.

    All operands of `Add` and `Concat`, and the first two of `Multiply`, are batches.
    """
    match op:
        case Conv():
            return convolve(x, constants[0], op, op.groups) + constants[1]
        case Dense():
            product: Array = x.reshape(len(x), -1) @ constants[0].T + constants[1]
            return product
        case BatchNorm():
            scale, shift, mean, variance = (_by_channel(c, x) for c in constants)
            normal: Array = (x - mean) / np.sqrt(variance + np.float32(op.epsilon))
            return normal * scale + shift
        case Affine():
            return x * constants[0] + constants[1]
        case Rescale():
            return (x - constants[0]) * constants[1]
        case Clip(float(low), float(high), True):
            return np.where(x >= (low + high) / 2, x.dtype.type(high), x.dtype.type(low))
        case Clip():
            times = constants[0] if constants else 1
            lowest = None if op.low is None else op.low * times
            highest = None if op.high is None else op.high * times
            return x if lowest is None and highest is None else np.clip(x, lowest, highest)
        case Function():
            return _gained(values(op.formula, x).astype(x.dtype), constants)
        case Multiply():
            return _gained(x * constants[0], constants[1:])
        case MaxPool():
            return pool_max(x, op, op.kernel, -np.inf)
        case SumPool():
            return pool_sum(x, op, op.kernel)
        case Pad():
            rank = len(op.pads) // 2
            pairs = zip(op.pads[:rank], op.pads[rank:], strict=True)
            return np.pad(x, ((0, 0), *pairs), constant_values=op.value)
        case Add():
            return sum(constants, x)
        case Concat():
            kinds = {one.dtype for one in (x, *constants)}
            kind = max((k for k in kinds if k.kind == "f"), default=np.result_type(*kinds))
            return np.concatenate((x, *constants), op.axis + 1, dtype=kind)
        case Softmax():
            return _softmax(x, op)
        case ArgMax():
            return _argmax(x, op)
        case TopK():
            return _top_k(x, op)
        case Fill():
            return np.broadcast_to(constants[0], (len(x), *constants[0].shape))
        case Lookup():
            found: Array = constants[0][np.clip(x, 0, len(constants[0]) - 1)]
            return found
        case Embed():
            return _embed(op, x, constants[0])
        case Integer() | CumSum() | Reduce():
            return op(x, *constants)
        case Feed():
            return x.astype(np.float32)
        case Reshape() | Transpose() | Take() | Pick():
            return arrange(op, x, *constants)
    raise TypeError(f"{op.mnemonic} is not an operation on tensors")


def _gained(x: Array, constants: Sequence[Array]) -> Array:
    """Times the first constant, plus the second, as far as there are any."""
    found = x * constants[0] if constants else x
    return found + constants[1] if len(constants) > 1 else found


def _embed(op: Embed, x: Array, table: Array) -> Array:
    whole, rows = whole_numbers(x, op.cut), len(table)
    if (off := whole[(whole < -rows) | (whole >= rows)]).size:
        raise DataError(f"the index {off.flat[0]} is not in its table of {rows:,} rows")
    found: Array = table[whole]
    return found


def _by_channel(parameter: Array, x: Array) -> Array:
    return parameter.reshape(-1, *(1 for _ in x.shape[2:]))


def _softmax(x: Array, op: Softmax) -> Array:
    axis = op.axis if op.axis < 0 else op.axis + 1
    shifted = x - x.max(axis=axis, keepdims=True)
    if op.log:
        result: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
        return result
    exponential = np.exp(shifted)
    result = exponential / exponential.sum(axis=axis, keepdims=True)
    return result


def _top_k(x: Array, op: TopK) -> Array:
    order = np.argsort(-x if op.largest else x, axis=op.axis + 1, kind="stable")
    first: Array = order.take(range(op.k), axis=op.axis + 1)
    return first if op.indices else np.take_along_axis(x, first, op.axis + 1)


def _argmax(x: Array, op: ArgMax) -> Array:
    axis = op.axis + 1
    ahead, behind = x.argmax(axis), x.shape[axis] - 1 - np.flip(x, axis).argmax(axis)
    found = behind if op.last else ahead
    return np.expand_dims(found, axis) if op.keepdims else found
