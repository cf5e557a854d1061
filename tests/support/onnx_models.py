"""Small ONNX models for tests, written as text, and what onnxruntime makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import onnx
import onnx.parser
import onnx.reference
import onnxruntime
from onnx import numpy_helper

from qcompiler.explain.measure.onnx_child import exact_session
from qcompiler.frontend.import_model import Imported, import_model
from qcompiler.ir import Tensor, evaluate, verify
from qcompiler.ir.execution.session import default_threads

Array = np.ndarray[Any, Any]


def model(
    inputs: str, body: str, opset: int = 17, outputs: str = "y", functions: str = "", **weights: Any
) -> onnx.ModelProto:
    """A model from the text of its inputs and nodes; ``weights`` become initialisers.

    A weight given as a tuple is a shape to be filled with random numbers, which are the same for
    the same inputs and nodes, whatever else a test session runs.
    """
    rng = np.random.default_rng(crc32(f"{inputs} {body}".encode()))
    given = ", ".join(f"float {name}" for name in outputs.split())
    header = f'<ir_version: 8, opset_import: ["" : {opset}, "local" : 1]>'
    found = onnx.parser.parse_model(
        f"{header}\ngraph ({inputs}) => ({given}) {{ {body} }}\n{functions}"
    )
    if not functions:
        del found.opset_import[1:]
    for output in found.graph.output:
        output.type.tensor_type.ClearField("shape")
    for name, weight in weights.items():
        array = weight
        if isinstance(weight, tuple):
            array = rng.standard_normal(weight).astype(np.float32)
        found.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    for node in found.graph.node:
        node.name = node.name or f"{node.output[0]}_node"
    return found


def ints(*values: int) -> Array:
    """A vector of int64."""
    return np.array(values, np.int64)


def batches(imported: Imported, count: int = 3) -> dict[str, Array]:
    """Random data for every input of a graph."""
    found = {}
    for value in imported.graph.inputs:
        assert isinstance(value.type, Tensor)
        shape = (count, *value.type.shape)
        found[value.name] = np.random.default_rng(count).standard_normal(shape, np.float32)
    return found


def run_onnx(proto: onnx.ModelProto | str, feeds: dict[str, Array]) -> list[Array]:
    """What onnxruntime gives, without optimisations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = default_threads()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = proto if isinstance(proto, str) else proto.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    results: list[Array] = session.run(None, feeds)
    return results


def run_bytes(proto: onnx.ModelProto, feeds: dict[str, Array], folder: Path) -> list[Array]:
    """What onnxruntime gives for a model of 8 bits whose sums do not saturate."""
    onnx.save(proto, folder / "bytes.onnx")
    session = exact_session(str(folder / "bytes.onnx"), default_threads())
    results: list[Array] = session.run(None, feeds)
    return results


def run_reference(proto: onnx.ModelProto, feeds: dict[str, Array]) -> list[Array]:
    """What ONNX's reference evaluator gives."""
    results: Any = onnx.reference.ReferenceEvaluator(proto).run(None, feeds)
    return [np.asarray(result) for result in results]


def agrees(proto: onnx.ModelProto, count: int = 3, runner: Any = run_onnx) -> Imported:
    """Import a model and compare its graph with onnxruntime on a random batch."""
    imported = import_model(proto)
    verify(imported.graph)
    feeds = batches(imported, count)
    expected = runner(proto, feeds)
    found = evaluate(imported.graph, *feeds.values())
    assert imported.graph.output_names == tuple(output.name for output in proto.graph.output)
    for one, other, value in zip(found, expected, imported.graph.outputs, strict=True):
        assert one.shape == other.shape == (count, *value.type.shape)
        np.testing.assert_allclose(one, other, 1e-5, 1e-5)
    return imported


def agrees_alone(proto: onnx.ModelProto, allow_products: bool = False) -> Imported:
    """The same for a model that takes one sample at a time, wherever its batch axis stands."""
    parts = [slice(frame, frame + 1) for frame in range(3)]
    return _agrees_in_parts(import_model(proto, None, allow_products), proto, parts)


def agrees_in_place(proto: onnx.ModelProto, allow_products: bool = False) -> Imported:
    """The same for a model of open batch size, wherever its batch axis stands."""
    return _agrees_in_parts(import_model(proto, None, allow_products), proto, [slice(3)])


def _agrees_in_parts(imported: Imported, proto: onnx.ModelProto, parts: list[slice]) -> Imported:
    verify(imported.graph)
    feeds = batches(imported)
    found = evaluate(imported.graph, *feeds.values())
    axes = {name: imported.batch_axes.get(name, 0) for name in (*feeds, *_outputs(proto))}
    for part in parts:
        given = {name: _placed(data[part], axes[name]) for name, data in feeds.items()}
        results = run_onnx(proto, given)
        for batch, name, wanted in zip(found, _outputs(proto), results, strict=True):
            one = _placed(batch[part], axes[name])
            assert one.size == wanted.size and wanted.ndim in (one.ndim, one.ndim - 1)
            np.testing.assert_allclose(one.reshape(wanted.shape), wanted, 1e-5, 1e-5)
    return imported


def _outputs(proto: onnx.ModelProto) -> list[str]:
    return [output.name for output in proto.graph.output]


def _placed(batch: Array, axis: int | None) -> Array:
    """A batch of samples as the model has it; None: one sample without a batch axis."""
    found: Array = batch[0] if axis is None else np.moveaxis(batch, 0, axis)
    return found
