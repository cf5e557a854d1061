"""Running graphs on onnxruntime: a small writer of ONNX models that share our arrays.

Weights are handed over by reference, not written into the model, so that a network is held once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qcompiler.ir.kernels import Array

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_INLINE = 1 << 10  # bytes; smaller constants stay in the model, where fusions can see them
_OPSET = 17
_MANY = 4  # elements for each weight: what another layout takes once is saved by 1 to 15
_FEW = 1000  # elements for each node: it runs in less time than onnxruntime takes to optimize it
# Merging a factor or quotient into integer weights would make sums inexact; merging padding into a
# max pool asks for more than it can pad.
_HARMFUL = ["ConvMulFusion", "Pad_Fusion"]


def default_threads() -> int:
    """Threads of a session, as OMP_NUM_THREADS says; 0, which is all cores, if it says nothing."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(said) if said.isascii() and said.isdigit() and len(said) < 5 else 0


def run_into(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
) -> None:
    """Run a session on inputs that lie in one piece; it writes into arrays that do, too."""
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    for name, array in outputs.items():
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    session.run_with_iobinding(binding)


class OnnxWriter:
    """Collects ONNX nodes; every value is ``batch x shape``."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self._count = 0
        self._known: dict[int, tuple[Array, str]] = {}  # arrays by identity, and their names

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
        """Add a constant, once; scalars may be given as zero-dimensional arrays."""
        if id(data) not in self._known:
            name = self.name(stem)
            self.constants[name] = np.ascontiguousarray(data).reshape(data.shape)
            self._known[id(data)] = data, name  # kept, so that no other gets its identity
        return self._known[id(data)][1]

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return the name of its result."""
        result = self.name(op)
        self.append(op, inputs, (result,), **attributes)
        return result

    def append(
        self, op: str, inputs: Sequence[str], results: Sequence[str], **attributes: Any
    ) -> None:
        """Append a node of several results."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, results, **attributes))

    def session(
        self,
        outputs: Mapping[str, Any],
        threads: int = 0,
        spin: bool = False,
        elements: float | None = None,
    ) -> onnxruntime.InferenceSession:
        """A CPU session with these outputs (name to numpy dtype).

        ``threads`` 0 means as many as OMP_NUM_THREADS says, or all cores.
        Threads that wait for others ``spin`` if small batches matter; else they leave their core to
        other programs. ``elements`` is about how many are computed in all, if that is known.
        Weights in another layout, which takes time and twice their memory, pay only if these are
        many more, and no optimization pays if they are few.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.log_severity_level = 4  # failures come as exceptions
        if not spin:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        nodes, constants = self._needed(outputs)
        weights = sum(data.size for data in constants.values())
        level = onnxruntime.GraphOptimizationLevel
        if elements is not None and elements < _FEW * len(nodes):
            options.graph_optimization_level = level.ORT_DISABLE_ALL
        elif elements is not None and elements < _MANY * weights:
            options.graph_optimization_level = level.ORT_ENABLE_EXTENDED
        names, values = [], []
        for name, data in constants.items():
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

        nodes, constants = self._needed(outputs)
        kinds = {name: helper.np_dtype_to_tensor_dtype(np.dtype(d)) for name, d in outputs.items()}
        graph = helper.make_graph(
            nodes,
            "main",
            self.inputs,
            [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()],
            [self._initializer(name, data) for name, data in constants.items()],
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def _needed(self, outputs: Iterable[str]) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
        """Nodes and constants on which outputs depend; onnxruntime would compute all."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        constants = {name: data for name, data in self.constants.items() if name in needed}
        return nodes[::-1], constants

    def _initializer(self, name: str, data: Array) -> onnx.TensorProto:
        from onnx import TensorProto, helper, numpy_helper

        if data.nbytes <= _INLINE:
            return numpy_helper.from_array(data, name)
        tensor = TensorProto(name=name, data_location=TensorProto.EXTERNAL)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(data.dtype)
        tensor.dims.extend(data.shape)
        tensor.external_data.add(key="location", value="memory")
        return tensor
