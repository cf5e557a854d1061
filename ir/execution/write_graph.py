"""Tensor-level graphs as ONNX models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.ir.ann import (
    Add,
    Affine,
    ArgMax,
    Clip,
    Concat,
    Conv,
    Dense,
    Embed,
    Fill,
    Function,
    MaxPool,
    Multiply,
    Pad,
    Rescale,
    Softmax,
    SumPool,
    TopK,
)
from qcompiler.ir.graph import Constant, Graph, Node, Operand, Value
from qcompiler.ir.view import View

from .session import OnnxWriter
from .write_nodes import (
    sliding,
    write_clip,
    write_function,
    write_max_pool,
    write_reshape,
    write_view,
)


def write_tensor_level(writer: OnnxWriter, graph: Graph) -> dict[str, str]:
    """Write a graph of tensor-level operations; returns the ONNX name of every value."""
    names: dict[str, str] = {}
    for value in graph.inputs:
        names[value.name] = writer.input(writer.name("input"), value.type.shape)
    for node in graph.nodes:
        sources = [o.name for o in node.operands if isinstance(o, Value)]
        if all(source in names for source in sources):
            found = _write(writer, node, names)
            if found is not None:
                names[node.result.name] = found
    return names


def _write(writer: OnnxWriter, node: Node, names: Mapping[str, str]) -> str | None:
    x = _operand(writer, node.operands[0], names)
    if isinstance(node.op, Conv):
        return _conv(writer, node, node.op, x)
    if isinstance(node.op, View):
        return write_view(writer, node, x)
    rest = [_operand(writer, operand, names) for operand in node.operands[1:]]
    match node.op:
        case Dense():
            flat = write_reshape(writer, node.operands[1].type.shape[1:], x)
            return writer.add("Gemm", flat, *rest, transB=1)
        case Affine():
            return writer.add("Add", writer.add("Mul", x, rest[0]), rest[1])
        case Rescale():
            return writer.add("Mul", writer.add("Sub", x, rest[0]), rest[1])
        case Clip(float(low), float(high), True):
            ends = (writer.constant(np.asarray(end, np.float32)) for end in (high, low))
            middle = writer.constant(np.asarray((low + high) / 2, np.float32))
            return writer.add("Where", writer.add("GreaterOrEqual", x, middle), *ends)
        case Clip(low, high):
            if rest:
                return _write_clip_of_each(writer, node.op, x, node.operands[1])
            if high is None and low == 0:
                return writer.add("Relu", x)
            return write_clip(writer, x, low, high)
        case Function(formula):
            return _write_gain(writer, write_function(writer, formula, x), rest)
        case Multiply():
            return _write_gain(writer, writer.add("Mul", x, rest[0]), rest[1:])
        case MaxPool() as op:
            return write_max_pool(writer, op, op.kernel, x)
        case SumPool() as op:
            channels = node.operands[0].type.shape[0]
            ones = writer.constant(np.ones((channels, 1, *op.kernel), np.float32))
            return writer.add("Conv", x, ones, group=channels, **sliding(op))
        case Pad() as op:
            rank = len(op.pads) // 2
            pads = np.array((0, *op.pads[:rank], 0, *op.pads[rank:]), np.int64)
            value = writer.constant(np.asarray(op.value, np.float32))
            return writer.add("Pad", x, writer.constant(pads), value)
        case Add():
            return writer.add("Sum", x, *rest)
        case TopK() as op:
            results = writer.name("values"), writer.name("indices")
            k = writer.constant(np.array([op.k], np.int64))
            writer.append("TopK", (x, k), results, axis=op.axis + 1, largest=op.largest)
            return results[op.indices]
        case Fill():
            batch = writer.add("Shape", x, start=0, end=1)
            shape = writer.constant(np.array(node.result.type.shape, np.int64))
            return writer.add("Expand", rest[0], writer.add("Concat", batch, shape, axis=0))
        case Embed():
            from onnx import TensorProto

            indices = writer.add("Cast", x, to=TensorProto.INT64)
            return writer.add("Gather", rest[0], indices)
        case Concat() as op:
            parts = _as_reals(writer, node, [x, *rest])
            return writer.add("Concat", *parts, axis=op.axis + 1)
        case Softmax() as op:
            axis = op.axis % len(node.result.type.shape) + 1
            return writer.add("LogSoftmax" if op.log else "Softmax", x, axis=axis)
        case ArgMax() as op:
            attributes = {"keepdims": op.keepdims, "select_last_index": op.last}
            return writer.add("ArgMax", x, axis=op.axis + 1, **attributes)
        case _:
            return None


def _write_gain(writer: OnnxWriter, x: str, constants: list[str]) -> str:
    """Times the first constant, plus the second, as far as there are any."""
    for operator, constant in zip(("Mul", "Add"), constants, strict=False):
        x = writer.add(operator, x, constant)
    return x


def _as_reals(writer: OnnxWriter, node: Node, parts: list[str]) -> list[str]:
    """Operands of one kind: indices beside real numbers are written as these."""
    from onnx import TensorProto

    kinds = [getattr(operand.type, "dtype", "f32") for operand in node.operands]
    if len(set(kinds)) == 1:
        return parts
    return [
        writer.add("Cast", part, to=TensorProto.FLOAT) if kind == "i64" else part
        for part, kind in zip(parts, kinds, strict=True)
    ]


def _operand(writer: OnnxWriter, operand: Operand, names: Mapping[str, str]) -> str:
    if isinstance(operand, Constant):
        return writer.constant(operand.data, operand.name)
    return names[operand.name]


def _conv(writer: OnnxWriter, node: Node, op: Conv, x: str) -> str:
    weight, bias = _operand(writer, node.operands[1], {}), node.operands[2]
    assert isinstance(bias, Constant)
    if bias.data.shape == (len(node.arrays[0]), *(1,) * len(op.strides)):
        flat = writer.constant(bias.data.reshape(-1), bias.name)
        return writer.add("Conv", x, weight, flat, group=op.groups, **sliding(op))
    summed = writer.add("Conv", x, weight, group=op.groups, **sliding(op))
    return writer.add("Add", summed, writer.constant(bias.data, bias.name))


def _write_clip_of_each(writer: OnnxWriter, op: Clip, x: str, times: Operand) -> str:
    """Write a clip whose bounds differ by channel."""
    assert isinstance(times, Constant)
    for name, bound in (("Max", op.low), ("Min", op.high)):
        if bound is not None:
            x = writer.add(name, x, writer.constant((bound * times.data).astype(np.float32)))
    return x
