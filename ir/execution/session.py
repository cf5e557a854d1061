"""Running graphs on onnxruntime: a small writer of ONNX models that share our arrays.

Weights are handed over by reference, not written into the model, so that a network is held once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
)
from qcompiler.ir.formula import COMPARISONS, WORDS, run
from qcompiler.ir.graph import Constant, Graph, Node, Operand, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import Sliding
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.ir.types import size
from qcompiler.ir.view import Pick, Reshape, Take, Transpose, View

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_INLINE = 1 << 10  # bytes; smaller constants stay in the model, where fusions can see them
_OPSET = 17
# Merging a factor or quotient into integer weights would make sums inexact; merging padding into a
# max pool asks for more than it can pad.
_HARMFUL = ["ConvMulFusion", "Pad_Fusion"]


class OnnxWriter:
    """Collects ONNX nodes; every value is ``batch x shape``."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def name(self, stem: str = "t") -> str:
        """A fresh name."""
        self._count += 1
        return f"{stem}.{self._count}"

    def input(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> str:
        """Declare an input with a free batch axis."""
        from onnx import helper

        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["batch", *shape]))
        return name

    def constant(self, data: Array, stem: str = "c") -> str:
        """Add a constant; scalars may be given as zero-dimensional arrays."""
        name = self.name(stem)
        self.constants[name] = np.ascontiguousarray(data).reshape(data.shape)
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return the name of its result."""
        from onnx import helper

        result = self.name(op)
        self.nodes.append(helper.make_node(op, inputs, [result], **attributes))
        return result

    def session(self, outputs: Mapping[str, Any], threads: int = 0) -> onnxruntime.InferenceSession:
        """A CPU session with these outputs (name to numpy dtype); ``threads`` 0 means all cores."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # failures come as exceptions
        names, values = [], []
        for name, data in self.constants.items():
            if data.nbytes > _INLINE:
                names.append(name)
                values.append(onnxruntime.OrtValue.ortvalue_from_numpy(data))
        options.add_external_initializers(names, values)
        model = self.model(outputs).SerializeToString()
        return onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_HARMFUL,
        )

    def model(self, outputs: Mapping[str, Any]) -> onnx.ModelProto:
        """The model alone; larger constants are named, not held."""
        from onnx import helper

        kinds = {name: helper.np_dtype_to_tensor_dtype(np.dtype(d)) for name, d in outputs.items()}
        graph = helper.make_graph(
            self.nodes,
            "main",
            self.inputs,
            [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()],
            [self._initializer(name, data) for name, data in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def _initializer(self, name: str, data: Array) -> onnx.TensorProto:
        from onnx import TensorProto, helper, numpy_helper

        if data.nbytes <= _INLINE:
            return numpy_helper.from_array(data, name)
        tensor = TensorProto(name=name, data_location=TensorProto.EXTERNAL)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(data.dtype)
        tensor.dims.extend(data.shape)
        tensor.external_data.add(key="location", value="memory")
        return tensor


def sliding(op: Sliding) -> dict[str, Any]:
    """The attributes of a sliding operation as ONNX writes them."""
    return {"strides": op.strides, "pads": op.pads, "dilations": op.dilations}


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
            return write_function(writer, formula, x)
        case Multiply():
            return writer.add("Mul", x, *rest)
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
        case Fill():
            batch = writer.add("Shape", x, start=0, end=1)
            shape = writer.constant(np.array(node.result.type.shape, np.int64))
            return writer.add("Expand", rest[0], writer.add("Concat", batch, shape, axis=0))
        case Embed():
            from onnx import TensorProto

            indices = writer.add("Cast", x, to=TensorProto.INT64)
            return writer.add("Gather", rest[0], indices)
        case Concat() as op:
            return writer.add("Concat", x, *rest, axis=op.axis + 1)
        case Softmax() as op:
            axis = op.axis % len(node.result.type.shape) + 1
            return writer.add("LogSoftmax" if op.log else "Softmax", x, axis=axis)
        case ArgMax() as op:
            attributes = {"keepdims": op.keepdims, "select_last_index": op.last}
            return writer.add("ArgMax", x, axis=op.axis + 1, **attributes)
        case _:
            return None


def _operand(writer: OnnxWriter, operand: Operand, names: Mapping[str, str]) -> str:
    if isinstance(operand, Constant):
        return writer.constant(operand.data, operand.name)
    return names[operand.name]


def _conv(writer: OnnxWriter, node: Node, op: Conv, x: str) -> str:
    weight, bias = _operand(writer, node.operands[1], {}), node.operands[2]
    assert isinstance(bias, Constant)
    if bias.data.size == bias.data.shape[0]:
        flat = writer.constant(bias.data.reshape(-1), bias.name)
        return writer.add("Conv", x, weight, flat, group=op.groups, **sliding(op))
    summed = writer.add("Conv", x, weight, group=op.groups, **sliding(op))
    return writer.add("Add", summed, writer.constant(bias.data, bias.name))


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


def _write_clip_of_each(writer: OnnxWriter, op: Clip, x: str, times: Operand) -> str:
    """Write a clip whose bounds differ by channel."""
    assert isinstance(times, Constant)
    for name, bound in (("Max", op.low), ("Min", op.high)):
        if bound is not None:
            x = writer.add(name, x, writer.constant((bound * times.data).astype(np.float32)))
    return x


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
