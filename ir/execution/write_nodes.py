"""Writers of single ONNX operations: what layers, functions, synapses and views become."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir.ann.formula import COMPARISONS, WORDS, run
from qcompiler.ir.graph import Constant, Node
from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import Sliding
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.ir.types import size
from qcompiler.ir.view import Pick, Reshape, Take, Transpose

from .session import OnnxWriter


def sliding(op: Sliding) -> dict[str, Any]:
    """The attributes of a sliding operation as ONNX writes them."""
    return {"strides": op.strides, "pads": op.pads, "dilations": op.dilations}


def write_function(writer: OnnxWriter, formula: str, x: str) -> str:
    """Write a function of one variable."""
    from onnx import TensorProto

    def number(value: float) -> str:
        return writer.constant(np.asarray(value, np.float32))

    def apply(name: str, *arguments: str) -> str:
        if name == "where":
            choice = writer.add("Cast", arguments[0], to=TensorProto.BOOL)
            return writer.add("Where", choice, *arguments[1:])
        found = writer.add(WORDS[name][1], *arguments)
        return writer.add("Cast", found, to=TensorProto.FLOAT) if name in COMPARISONS else found

    return str(run(formula, x, number, apply))


def write_clip(writer: OnnxWriter, x: str, low: float | None, high: float | None) -> str:
    """Write a clip of float32 values; None is unbounded."""
    bounds = (
        "" if bound is None else writer.constant(np.asarray(bound, np.float32))
        for bound in (low, high)
    )
    return writer.add("Clip", x, *bounds)


def pads_within(op: Sliding, kernel: tuple[int, ...]) -> bool:
    """Whether onnxruntime's max pool pads as much by itself; dilated kernels may ask for more."""
    return all(pad < k for pad, k in zip(op.pads, kernel * 2, strict=True))


def write_max_pool(writer: OnnxWriter, op: Sliding, kernel: tuple[int, ...], x: str) -> str:
    """Write a max pool of float32 values, or of uint8 values if their pads are `pads_within`."""
    attributes = sliding(op)
    if not pads_within(op, kernel):
        rank = len(kernel)
        pads = np.array((0, 0, *op.pads[:rank], 0, 0, *op.pads[rank:]), np.int64)
        lowest = writer.constant(np.asarray(-np.inf, np.float32))
        x = writer.add("Pad", x, writer.constant(pads), lowest)
        attributes["pads"] = (0,) * len(op.pads)
    return writer.add("MaxPool", x, kernel_shape=kernel, **attributes)


def write_synapse(
    writer: OnnxWriter, op: Synapse, x: str, weight: Array, bias: Array | None = None
) -> str:
    """Write what float32 levels or spikes send through a synapse.

    A bias takes one number an output; relays have none.
    """
    matrix = writer.constant(weight.astype(np.float32), "W")
    biases = [] if bias is None else [writer.constant(np.asarray(bias, np.float32))]
    match op:
        case Convolve():
            return writer.add("Conv", x, matrix, *biases, group=op.groups, **sliding(op))
        case Connect():
            flat = write_reshape(writer, (weight.shape[1],), x)
            return writer.add("Gemm", flat, matrix, *biases, transB=1)
        case Relay():
            return writer.add("Mul", x, matrix)


def write_reshape(writer: OnnxWriter, shape: tuple[int, ...], x: str) -> str:
    """Write a reshape of every sample."""
    full = writer.constant(np.array((0, *shape) if shape else (-1,), np.int64))
    return writer.add("Reshape", x, full)


def write_view(writer: OnnxWriter, node: Node, x: str) -> str:
    """Write a view."""
    match node.op:
        case Reshape() as op:
            return write_reshape(writer, op.shape, x)
        case Transpose() as op:
            return writer.add("Transpose", x, perm=(0, *(axis + 1 for axis in op.perm)))
        case Take() as op:
            indices = writer.constant(np.array(op.indices, np.int64))
            return writer.add("Gather", x, indices, axis=op.axis + 1)
        case Pick():
            source, places = node.operands
            assert isinstance(places, Constant)
            flat = write_reshape(writer, (size(source.type),), x)
            return writer.add("Gather", flat, writer.constant(places.data), axis=1)
    raise TypeError(f"{node.op.mnemonic} is not a view")
