"""Networks as exporters spell them: scikit-learn's skl2onnx, Keras' tf2onnx, both of PyTorch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcompiler
from qcompiler.frontend.import_model import check_model
from qcompiler.ir import UnsupportedModel
from qcompiler.ir.snn import Population
from tests.backends.test_engines import same
from tests.support.onnx_models import agrees, ints, model, run_onnx
from tests.support.random_networks import LOIHI, compiled

Array = np.ndarray[Any, Any]
DIGITS = Path(__file__).parents[2] / "examples" / "digits"

_NCHW, _NHWC = "Transpose<perm=[0,3,1,2]>", "Transpose<perm=[0,2,3,1]>"

# name: input, nodes, weights, populations
SPELLINGS: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "Keras": (
        "float[N,8,8,3] x",
        f"t = {_NCHW}(x) c = Conv<pads=[1,1,1,1]>(t, w1, b1) r = Relu(c)"
        " p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)"
        f" d = Conv<group=4, pads=[1,1,1,1]>(p, w2) h = {_NHWC}(d) m = Mul(h, s) n = Add(m, s)"
        f" r6 = Clip(n, zero, six) t3 = {_NCHW}(r6) e = Conv(t3, w3) f = {_NHWC}(e)"
        " g = Reshape(f, i) v = MatMul(g, w4) z = Add(v, b4) y = Softmax<axis=1>(z)",
        {
            **{"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 1, 3, 3), "s": (1, 1, 1, 4)},
            **{"w3": (2, 4, 1, 1), "i": ints(-1, 32), "w4": (32, 5), "b4": (5,)},
            **{"zero": np.float32(0), "six": np.float32(6)},
        },
        ["r", "r6", "e", "z"],
    ),
    "Keras decoder": (
        "float[N,4,4,3] x",
        f't = {_NCHW}(x) u = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
        f' nearest_mode="floor">(t, , s) c = Conv<pads=[1,1,1,1]>(u, w1) h = {_NHWC}(c) r = Relu(h)'
        f" t2 = {_NCHW}(r) d = ConvTranspose<strides=[2,2], output_shape=[16,16],"
        f' auto_pad="SAME_UPPER">(t2, w2) y = {_NHWC}(d)',
        {"w1": (4, 3, 3, 3), "w2": (4, 2, 3, 3), "s": np.array([1, 1, 2, 2], np.float32)},
        ["r", "d.phases"],
    ),
    "PyTorch with sizes of tensors": (
        "float[N,3,6,6] x",
        "c = Conv(x, w1) r = Relu(c) s = Shape(r) z = Constant<value = int64[1] {0}>()"
        " t = Constant<value = int64[1] {2}>() n = Slice(s, z, t, z)"
        " k = Constant<value = int64[2] {12, 12}>() i = Concat<axis=0>(n, k)"
        ' u = Resize<mode="linear", coordinate_transformation_mode="align_corners",'
        ' cubic_coeff_a=-0.75, nearest_mode="floor">(r, , , i) y = Conv(u, w2)',
        {"w1": (4, 3, 1, 1), "w2": (2, 4, 1, 1)},
        ["r", "u.sum", "y"],
    ),
    "PyTorch's pixel shuffle, chunks and flips": (
        "float[N,8,4,4] x",
        "a, b = Split<axis=1, num_outputs=2>(x) c = Conv(a, w1) r = Relu(c)"
        ' d = DepthToSpace<blocksize=2, mode="CRD">(r) m = Constant<value = int64[1] {-1}>()'
        " e = Constant<value = int64[1] {-9223372036854775808}>()"
        " g = Constant<value = int64[1] {3}>() f = Slice(d, m, e, g, m) y = Conv(f, w2)",
        {"w1": (8, 4, 1, 1), "w2": (3, 2, 2, 2)},
        ["r", "y"],
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spelling(name: str) -> None:
    inputs, body, given, populations = SPELLINGS[name]
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {
        key: (rng.standard_normal(w) / 3).astype(np.float32) if isinstance(w, tuple) else w
        for key, w in given.items()
    }
    proto = model(inputs, body, 18, **weights)
    graph = agrees(proto).graph
    batch = rng.standard_normal((6, *graph.inputs[0].type.shape)).astype(np.float32)
    spiking = compiled(graph, LOIHI, calibration=(batch,), t_max=16)
    same(spiking, batch)
    found = [n.result.name.partition(":")[0] for n in spiking.nodes if isinstance(n.op, Population)]
    assert found == populations


def _trained(x: Array, labels: Array) -> list[Array]:
    """A network of two layers, by gradient descent."""
    rng = np.random.default_rng(0)
    w1, w2 = rng.standard_normal((64, 32)) / 8, rng.standard_normal((32, 10)) / 6
    b1, b2 = np.zeros(32), np.zeros(10)
    target = np.eye(10)[labels]
    for _ in range(400):
        hidden = np.maximum(x @ w1 + b1, 0)
        scores = np.exp(hidden @ w2 + b2)
        error = (scores / scores.sum(axis=1, keepdims=True) - target) / len(x)
        back = (error @ w2.T) * (hidden > 0)
        w2 -= hidden.T @ error
        b2 -= error.sum(axis=0)
        w1 -= x.T @ back
        b1 -= back.sum(axis=0)
    return [array.astype(np.float32) for array in (w1, b1[None], w2, b2[None])]


def _classifier(weights: list[Array], mean: Array, scale: Array, zipmap: bool) -> onnx.ModelProto:
    """A pipeline of StandardScaler and MLPClassifier as skl2onnx writes it."""
    node, ml = helper.make_node, {"domain": "ai.onnx.ml"}
    nodes = [
        node("Scaler", ["X"], ["variable"], "Sc", offset=mean, scale=scale, **ml),
        node("Cast", ["variable"], ["cast_input"], "Ca", to=TensorProto.FLOAT),
        node("MatMul", ["cast_input", "coefficient"], ["mul_result"], "Ma"),
        node("Add", ["mul_result", "intercepts"], ["add_result"], "Ad"),
        node("Relu", ["add_result"], ["next_activations"], "Re"),
        node("MatMul", ["next_activations", "coefficient1"], ["mul_result1"], "Ma1"),
        node("Add", ["mul_result1", "intercepts1"], ["add_result1"], "Ad1"),
        node("Softmax", ["add_result1"], ["out_activations_result"], "So"),
        node("Identity", ["out_activations_result"], ["probabilities"], "Id"),
        node("ArgMax", ["probabilities"], ["argmax_output"], "Ar", axis=1),
        node("ArrayFeatureExtractor", ["classes", "argmax_output"], ["extracted"], "AFE", **ml),
        node("Reshape", ["extracted", "shape_tensor"], ["reshaped_result"], "Rs"),
        node("Cast", ["reshaped_result"], ["label"], "Ca1", to=TensorProto.INT64),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, None),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None),
    ]
    if zipmap:
        labels = list(range(10))
        nodes.append(
            node("ZipMap", ["probabilities"], ["zip"], "Zi", classlabels_int64s=labels, **ml)
        )
        outputs[1] = onnx.ValueInfoProto(name="zip")
    names = ("coefficient", "intercepts", "coefficient1", "intercepts1", "classes", "shape_tensor")
    arrays = (*weights, np.arange(10, dtype=np.int32), ints(-1))
    held = [numpy_helper.from_array(a, n) for n, a in zip(names, arrays, strict=True)]
    given = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 64])
    graph = helper.make_graph(nodes, "pipeline", [given], outputs, held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_classifier_of_scikit_learn() -> None:
    with np.load(DIGITS / "digits_test.npz") as held:
        images, labels = (held[name] for name in held.files)
    x = images.reshape(len(images), -1).astype(np.float32)
    mean, scale = x.mean(axis=0), 1 / np.maximum(x.std(axis=0), 1)
    half = len(x) // 2
    weights = _trained(((x - mean) * scale)[:half], labels[:half])
    proto = _classifier(weights, mean, scale, zipmap=False)
    expected, _ = run_onnx(proto, {"X": x[half:]})
    program = qcompiler.compile(proto, calibration=x[:half], t_max=64)
    label, probabilities = program.run(x[half:])
    assert label.shape == expected.shape and label.dtype == np.int64
    assert probabilities.shape == (len(x) - half, 10)
    right, ann = (float((found == labels[half:]).mean()) for found in (label, expected))
    assert ann > 0.85 and right > ann - 0.02
    with pytest.raises(UnsupportedModel, match="zipmap"):
        qcompiler.compile(_classifier(weights, mean, scale, zipmap=True))
    assert {f.kind for f in check_model(proto)} == {"compiled", "removed", "host"}
