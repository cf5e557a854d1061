"""One ONNX node as a model of its own, and its results."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference.op_run import OpRun

from .onnx_tensor import Array

_IR_VERSION = 10  # the newest that every supported onnxruntime reads


class GatherElements(OpRun):  # type: ignore[misc, unused-ignore]
    """As ONNX defines it: onnx's own fails for axes of more than 32 elements."""

    op_domain = ""

    def _run(self, data: Array, indices: Array, axis: int = 0) -> tuple[Array]:
        along = range(data.ndim)[axis]
        part = tuple(slice(None if a == along else n) for a, n in enumerate(indices.shape))
        return (np.take_along_axis(data[part], indices.astype(np.int64), along),)


def node_model(
    node: onnx.NodeProto, opset: int, given: Mapping[str, Array], inline: Mapping[str, Array]
) -> onnx.ModelProto:
    """A model of one node; ``given`` arrays are its inputs, ``inline`` ones are written into it."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in given.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    initializers = [numpy_helper.from_array(a, name) for name, a in inline.items()]
    graph = helper.make_graph([node], "node", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def run_node(node: onnx.NodeProto, opset: int, feeds: Mapping[str, Array]) -> list[Array]:
    """The results of a node.

    onnx's reference computes them, or onnxruntime where that has no implementation, as for versions
    of an operator before its last. onnxruntime comes second: some nodes that make no sense end the
    process there. Raises what these raise for such nodes.
    """
    model = node_model(node, opset, feeds, {})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            results: Any = onnx.reference.ReferenceEvaluator(model, new_ops=[GatherElements]).run(
                None, dict(feeds)
            )
        except NotImplementedError:
            results = _session(model).run(None, dict(feeds))
    return [np.asarray(result) for result in results]


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
