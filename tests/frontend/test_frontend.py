"""What the ONNX frontend imports: every operator and spelling, compared with onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from qcompiler.frontend.import_model import Preprocessing, check_model, import_model
from qcompiler.ir import Tensor, evaluate, verify
from tests.support.onnx_models import agrees, batches, model, run_onnx, run_reference
from tests.support.operator_cases import CASES, FLAT, IMAGE

OPSETS = (7, 9, 11, 13, 18, 21)
# where onnxruntime 1.23, the last for Python 3.10, is wrong for some opsets
BY_REFERENCE = {"average pool including", "average pool ceil including", "sum of nothing"}
BY_REFERENCE |= {"modulo of the divisor"}  # onnxruntime has it for integers only


def _spelled() -> list[Any]:
    return [
        pytest.param(name, opset, id=f"{name}, opset {opset}")
        for name, case in CASES.items()
        for opset in OPSETS
        if case.oldest <= opset <= case.newest
    ]


@pytest.mark.parametrize(("name", "opset"), _spelled())
def test_operator_means_what_onnxruntime_makes_of_it(name: str, opset: int) -> None:
    case = CASES[name]
    proto = model(case.inputs, case.body, opset, **case.weights)
    if name.startswith("arg max"):
        proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    agrees(proto, runner=run_reference if name in BY_REFERENCE else run_onnx)


@pytest.mark.parametrize("name", ["conv", "gemm", "average pool ceil", "softmax", "pad axes"])
def test_newest_opset(name: str) -> None:
    case = CASES[name]
    proto = model(case.inputs, case.body, onnx.defs.onnx_opset_version(), **case.weights)
    agrees(proto, runner=run_reference)


FLATTEN = """
    c = Conv(x, w)
    s = Shape(c)
    zero = Constant<value_int=0>()
    n = Gather<axis=0>(s, zero)
    axis = Constant<value = int64[1] {0}>()
    first = Unsqueeze(n, axis)
    rest = Constant<value = int64[1] {-1}>()
    target = Concat<axis=0>(first, rest)
    y = Reshape(c, target)
"""


def test_flatten_that_computes_with_the_batch_size() -> None:
    imported = agrees(model(IMAGE, FLATTEN, 13, w=(2, 3, 3, 3)))
    kinds = [outcome.kind for outcome in imported.report]
    assert kinds == ["compiled", *["constant"] * 7, "compiled"]
    assert [node.op.mnemonic for node in imported.graph.nodes] == ["ann.conv", "view.reshape"]


@pytest.mark.parametrize("batch", ["1", "2", "", "batch"])
def test_batch_size_may_be_fixed_or_free(batch: str) -> None:
    text = IMAGE.replace("N", batch or "N")
    body = f"s = Constant<value = int64[2] {{{batch if batch.isdigit() else -1}, 216}}>()"
    proto = model(text, f"{body} y = Reshape(x, s)", 13)
    if not batch:
        proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    assert agrees(proto, int(batch) if batch.isdigit() else 3).graph.outputs[0].type.shape == (216,)


def test_images_with_channels_last() -> None:
    body = "t = Transpose<perm=[0,3,1,2]>(x) c = Conv(t, w) y = Transpose<perm=[0,2,3,1]>(c)"
    agrees(model("float[N,9,8,3] x", body, 13, w=(2, 3, 3, 3)))


def test_layers_in_a_row_without_names_or_order() -> None:
    body = "c = Conv(x, w, b) r = Relu(c) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)"
    proto = model(
        IMAGE, f"{body} f = Flatten(p) y = Gemm(f, v)", 13, w=(4, 3, 2, 1), b=(4,), v=(64, 5)
    )
    nodes = list(reversed(proto.graph.node))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    for node in proto.graph.node:
        node.name = ""
    graph = agrees(proto).graph
    assert [node.origin for node in graph.nodes][:2] == [("Conv_4",), ("Relu_3",)]
    assert [c.name for c in graph.constants] == ["w", "b", "Gemm_0.weight", "Gemm_0.bias"]
    assert [v.name for v in (graph.nodes[0].result, *graph.outputs)] == ["c", "y"]


def test_a_name_has_one_content() -> None:
    shared = np.arange(3, dtype=np.float32)
    body = (
        "a = Conv(x, w, b) m = GlobalAveragePool(a) f = Flatten(m) g = Gemm(f, v, b) y = Add(g, b)"
    )
    graph = agrees(model(IMAGE, body, w=(3, 3, 1, 1), v=(3, 3), b=shared)).graph
    names = [constant.name for constant in graph.constants]
    assert len(names) == len(set(names))
    assert {"b", "b.2"} <= set(names)


def test_weights_of_other_precisions() -> None:
    for dtype in (np.float16, np.float64):
        proto = model(
            "float[N,6] x", "c = Cast<to=1>(w) y = MatMul(x, c)", w=np.ones((6, 2), dtype)
        )
        assert all(c.data.dtype == np.float32 for c in agrees(proto).graph.constants)
    double = model("double[N,6] x", "y = MatMul(x, w)", w=np.ones((6, 2)))
    weight = import_model(double).graph.constants[0]
    assert weight.data.dtype == np.float32
    assert import_model(double).graph.inputs[0].type == Tensor((6,))


def test_bfloat16_weights() -> None:
    proto = model("bfloat16[N,2] x", "y = MatMul(x, w)")
    tensor = helper.make_tensor("w", TensorProto.BFLOAT16, (2, 1), [1.5, -2.0])
    proto.graph.initializer.append(tensor)
    graph = import_model(proto).graph
    assert evaluate(graph, np.ones((1, 2), np.float32))[0].tolist() == [[-0.5]]


def test_functions_are_inlined() -> None:
    functions = """
        <opset_import: ["" : 17, "local" : 1], domain: "local">
        block (a, w) => (c) { b = local.half(a) c = Conv(b, w) }
        <opset_import: ["" : 17], domain: "local">
        half (a) => (b) { h = Constant<value_float=0.5>() t = Mul(a, h) b = Relu(t) }
    """
    imported = agrees(model(IMAGE, "y = local.block(x, w)", functions=functions, w=(2, 3, 2, 2)))
    assert [f.op_type for f in imported.report] == ["Constant", "Mul", "Relu", "Conv"]


def test_external_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w, v = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((4, 3, 2, 2), (224, 3)))
    proto = model(IMAGE, "c = Conv(x, w) f = Flatten(c) y = Gemm(f, v)", w=w, v=v)
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "net.onnx"
    expected = import_model(proto)
    onnx.save(proto, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    found = import_model(str(path))
    assert found.graph == expected.graph
    x = rng.integers(-16, 17, (3, 3, 9, 8)).astype(np.float32)  # all sums are below 2 ** 20: exact
    np.testing.assert_array_equal(evaluate(found.graph, x)[0], run_onnx(str(path), {"x": x})[0])


def test_sources_give_the_same_graph(tmp_path: Path) -> None:
    proto = model(IMAGE, "y = Conv(x, w)", w=(4, 3, 2, 2))
    path = tmp_path / "net.onnx"
    data = proto.SerializeToString()
    path.write_bytes(data)
    graphs = [import_model(source).graph for source in (path, str(path), data, proto)]
    assert all(graph == graphs[0] for graph in graphs)
    assert proto.SerializeToString() == data  # a message of the caller is not changed


def test_initialisers_that_are_inputs_are_constants() -> None:
    proto = model(f"{IMAGE}, float[4,3,2,2] w", "y = Conv(x, w)", w=(4, 3, 2, 2))
    assert [value.name for value in import_model(proto).graph.inputs] == ["x"]


def test_outcomes() -> None:
    body = """
        r = Relu(x) d = Dropout(r) dead = Sigmoid(r) s = Shape(d) e = ConstantOfShape(s)
        m = Identity(w) c = MatMul(d, m) z = Softmax<axis=1>(c) y = Flatten(z)
    """
    proto = model(FLAT, body, w=(6, 2))
    agrees(proto)
    assert {outcome.name.removesuffix("_node"): outcome.kind for outcome in check_model(proto)} == {
        "r": "compiled",
        "d": "removed",
        "dead": "removed",
        "s": "removed",
        "e": "removed",
        "m": "constant",
        "c": "compiled",
        "z": "host",
        "y": "removed",
    }


def test_several_inputs_and_outputs() -> None:
    body = "y = Relu(x) z = Gemm(v, w) u = Identity(y)"
    graph = agrees(model(f"{IMAGE}, float[N,4] v", body, outputs="y z u", w=(4, 2))).graph
    assert [value.name for value in graph.inputs] == ["x", "v"]
    assert graph.outputs[0] is graph.outputs[2]
    assert graph.output_names == ("y", "z", "u")


PREPROCESSINGS = {
    "nchw": ((3, 5, 4), Preprocessing((10, 20, 30), (2, 4, 5), True)),
    "nhwc": ((5, 4, 3), Preprocessing((10, 20, 30), (2, 4, 5), True)),
    "told": ((3, 5, 3), Preprocessing((10, 20, 30), (2, 4, 5), True, "nhwc")),
    "one value": ((3, 5, 4), Preprocessing((127.5,), (255,))),
    "flat": ((20,), Preprocessing(scale=(255,))),
    "reverse": ((3, 5, 4), Preprocessing(reverse_channels=True)),
    "nothing": ((3, 5, 4), Preprocessing(layout="nchw")),
}


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_preprocessing_is_compiled_in(name: str) -> None:
    shape, preprocessing = PREPROCESSINGS[name]
    dims = ",".join(map(str, shape))
    graph = import_model(model(f"float[N,{dims}] x", "y = Neg(x)"), preprocessing).graph
    verify(graph)
    raw = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    axis = 1 if preprocessing.layout != "nhwc" and name != "nhwc" else -1
    expected = np.flip(raw, axis) if preprocessing.reverse_channels else raw
    spread = [1] * raw.ndim
    spread[axis] = -1
    mean = np.reshape(preprocessing.mean or (0,), spread)
    scale = np.reshape(preprocessing.scale or (1,), spread)
    expected = (expected - mean) / scale
    np.testing.assert_allclose(evaluate(graph, raw.astype(np.float32))[0], -expected, 1e-4, 1e-4)
    np.testing.assert_allclose(preprocessing.apply(raw), expected, 1e-4, 1e-4)
    assert graph.inputs[0].type == Tensor(shape)
    assert all(node.origin == ("preprocessing",) for node in graph.nodes[:-1])


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist_convnet", "mnist_convnet_dynamo"])
def test_trained_network(name: str, data_dir: Path) -> None:
    path = data_dir / "mnist" / f"{name}.onnx"
    imported = import_model(path)
    assert {outcome.kind for outcome in imported.report} <= {"compiled", "constant", "removed"}
    feeds = batches(imported)
    found = evaluate(imported.graph, *feeds.values())[0]
    np.testing.assert_allclose(found, run_onnx(str(path), feeds)[0], 1e-4, 1e-4)


def test_weights_are_not_held_twice() -> None:
    array = np.ones((64, 64), np.float32)
    proto = model("float[N,64] x", "y = Gemm<transB=1>(x, w)", w=array)
    tensor = numpy_helper.from_array(array, "w")
    assert proto.graph.initializer[0] == tensor
    weight = import_model(proto.SerializeToString()).graph.constants[0].data
    assert weight.base is not None and not weight.flags.owndata


def test_without_a_batch_axis_only_the_cause_is_refused() -> None:
    proto = model("float[5] x", "s = Tan(x) h = MatMul(s, w) y = Relu(h)", w=(5, 3))
    report = {outcome.op_type: outcome for outcome in check_model(proto)}
    assert {kind: outcome.kind for kind, outcome in report.items()} == {
        "Tan": "refused",
        "MatMul": "compiled",
        "Relu": "compiled",
    }
    assert "not fully checked" in (report["MatMul"].reason or "")
