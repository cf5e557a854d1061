"""Channels of a function that vary little, far from zero: an offset each, in the layer behind."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.data import Data
from qcompiler.explain.diagnosis import explain
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, ProgramError, evaluate
from qcompiler.ir.ann import Function
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pass
from qcompiler.passes.tensor.centre import centred
from qcompiler.passes.tensor.centre_layers import with_centred_layers
from qcompiler.passes.tensor.equalize import Equalize
from qcompiler.passes.tensor.fold_linear import FoldLinear
from tests.support.onnx_models import model, run_onnx

FEATURES, CHANNELS = 8, 12
X = np.random.default_rng(0).normal(size=(300, FEATURES)).astype(np.float32)
V = np.random.default_rng(1).normal(size=(FEATURES, CHANNELS)).astype(np.float32) / 30
B = np.random.default_rng(2).uniform(-3, 3, CHANNELS).astype(np.float32)
W = np.random.default_rng(3).normal(size=(CHANNELS, 3)).astype(np.float32)
IMAGE, KERNEL = X[:, :, None, None], {"v": V.T[:, :, None, None], "w": W.T[:, :, None, None]}
FLAT: dict[str, Any] = {"v": V, "b": B, "w": W}
SPREAD = 100.0  # times which the layer behind spreads values that differ little
# Inputs, values and weights in 64 levels over about 6.5 deviations: 0.03 each, as outputs
ROUNDINGS = 0.03 * 4


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("name", ["Sigmoid", "Tanh", "Softplus"])
def test_each_channel_has_all_levels(name: str, target: str) -> None:
    body = f"a = Gemm(x, v, b) h = {name}(a) y = MatMul(h, w)"
    proto = model(f"float[N,{FEATURES}] x", body, **FLAT | {"w": W * SPREAD})
    (exact,) = run_onnx(proto, {"x": X})
    program = qcompiler.compile(proto, target=target, calibration=X, t_max=64)
    found = np.asarray(program.run(X))
    assert (np.mean((found - exact) ** 2, axis=0) ** 0.5 < ROUNDINGS * exact.std(axis=0)).all()
    np.testing.assert_array_equal(found[:2], program.run(X[:2], engine="steps"))


@pytest.mark.parametrize(
    ("inputs", "body", "weights", "shifted"),
    [
        ("float[N,8] x", "a = Gemm(x, v, b) h = Sigmoid(a) y = MatMul(h, w)", FLAT, True),
        ("float[N,8,1,1] x", "a = Conv(x, v, b) h = Tanh(a) y = Conv(h, w)", KERNEL, True),
        # padding is zero, whatever the offset: biases at borders are others
        (
            "float[N,8,1,1] x",
            "a = Conv(x, v, b) h = Tanh(a) y = Conv<pads=[1,1,1,1]>(h, k)",
            {},
            True,
        ),
        (
            "float[N,8] x",
            "a = Gemm(x, v, b) h = Sigmoid(a) d = MatMul(x, v) m = Mul(h, d) y = MatMul(m, w)",
            FLAT,
            False,
        ),
        ("float[N,8] x", "a = Gemm(x, v) h = Tanh(a) y = MatMul(h, w)", {"v": V, "w": W}, False),
    ],
)
def test_offsets_keep_the_function(
    inputs: str, body: str, weights: dict[str, Any], shifted: bool
) -> None:
    kernel = {**KERNEL, "k": np.tile(KERNEL["w"], (1, 1, 3, 3))}
    given: dict[str, Any] = dict(weights)
    if "Conv" in body:
        given = {"b": B} | {key: a for key, a in kernel.items() if f" {key})" in body or key == "v"}
    proto = model(inputs, body, **given)
    x: Array = IMAGE if "Conv" in body else X
    graph = FoldLinear()(import_model(proto, allow_products=True).graph)
    found = centred(graph, (x,))
    assert ("h:centred" in {node.result.name for node in found.nodes}) == shifted
    functions = [node for node in found.nodes if isinstance(node.op, Function)]
    assert any(len(node.arrays) > 1 for node in functions) == shifted
    exact = evaluate(graph, x)[0]
    np.testing.assert_allclose(evaluate(found, x)[0], exact, rtol=0, atol=1e-5)
    equal = Equalize(effort=1, calibration=(x,))(graph)
    np.testing.assert_allclose(evaluate(equal, x)[0], exact, rtol=0, atol=1e-5)


def test_of_two_functions_in_a_row_each_gets_its_offsets() -> None:
    """Folding the first one's offsets, in front of the code of a state, makes all nodes anew."""
    body = (
        "a = Gemm(x, v, b) c = MatMul(g, u) e = Add(a, c) h = Sigmoid(e) n = MatMul(h, u)"
        " z = Tanh(n) k = Sigmoid(n) y = MatMul(k, w)"
    )
    u = np.random.default_rng(4).normal(size=(CHANNELS, CHANNELS)).astype(np.float32) / 10
    inputs = f"float[N,{FEATURES}] x, float[N,{CHANNELS}] g"
    proto = model(inputs, body, outputs="y z", **FLAT, u=u)
    made: dict[str, Graph] = {}

    def watch(step: Pass, graph: Graph) -> None:
        made[step.name] = graph

    qcompiler.compile(
        proto,
        calibration={"x": X.reshape(30, 10, FEATURES)},
        states=["z:g"],
        target="reference",
        watch=watch,
    )
    names = {node.result.name for node in made["equalize"].nodes}
    assert {"h:centred", "k:centred"} <= names


LINEAR = "r = Relu(x) d = Conv(r, v, b) h = Conv(d, k, c) t = Relu(h) y = Conv(t, w)"


def linear(body: str = LINEAR) -> tuple[onnx.ModelProto, Graph]:
    rng = np.random.default_rng(5)
    shapes = {"v": (6, 8, 1, 1), "k": (8, 6, 1, 1), "w": (3, 8, 1, 1), "p": (8, 6, 3, 3)}
    given: dict[str, Any] = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    biases = {"b": np.linspace(-4, 4, 6), "c": np.linspace(-1, 1, 8)}
    given |= {name: array.astype(np.float32) for name, array in biases.items()}
    used = {name: array for name, array in given.items() if re.search(rf"\b{name}\b", body)}
    proto = model("float[N,8,5,5] x", body, **used)
    return proto, FoldLinear()(import_model(proto).graph)


FRAMES = np.random.default_rng(6).normal(size=(100, 8, 5, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("body", "centred"),
    [
        (LINEAR, {"d:centred"}),
        (
            "r = Relu(x) d = Conv(r, v, b) q = Conv(r, v) s = Add(d, q) h = Conv(s, k, c)"
            " t = Relu(h) y = Conv(t, w)",
            {"s:centred"},
        ),
        (
            "r = Relu(x) d = Conv(r, v, b) e = Conv(d, k, c) t = Relu(e) q = Conv(t, v, b)"
            " s = Add(d, q) h = Conv(s, k, c) u = Relu(h) y = Conv(u, w)",
            {"d:centred", "s:centred"},
        ),
        # at borders a padded reader would lack some of the offset
        (
            "r = Relu(x) d = Conv(r, v, b) h = Conv<pads=[1,1,1,1]>(d, p, c) t = Relu(h)"
            " y = Conv(t, w)",
            set(),
        ),
        ("r = Relu(x) d = Conv(r, v, b) h = Relu(d) y = Conv(h, k)", set()),
        ("r = Relu(x) y = Conv(r, v, b)", set()),
    ],
)
def test_layers_without_a_relu_are_centred(body: str, centred: set[str]) -> None:
    _, graph = linear(body)
    found = with_centred_layers(graph, (FRAMES,))
    assert {n.result.name for n in found.nodes if ":centred" in n.result.name} == centred
    exact = evaluate(graph, FRAMES)[0]
    np.testing.assert_allclose(evaluate(found, FRAMES)[0], exact, rtol=1e-4, atol=1e-4)
    for name in centred:
        (value,) = (n.result for n in found.nodes if n.result.name == name)
        (seen,) = evaluate(replace(found, outputs=(value,), output_names=("v",)), FRAMES)
        low, high = seen.min(axis=(0, 2, 3)), seen.max(axis=(0, 2, 3))
        assert np.abs(low + high).max() < 0.3 * (high - low).min()


def test_offsets_are_remembered_for_explain(tmp_path: Path) -> None:
    proto, _ = linear()
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    program = qcompiler.compile(path, calibration=FRAMES, target="reference", t_max=32)
    offsets = program.manifest["channel_offsets"]
    assert offsets.keys() == {"d:centred"} and len(offsets["d:centred"]) == 6
    found = explain(program, path, Data((FRAMES,)))
    (layer,) = (layer for layer in found.layers if layer.name == "d:centred")
    assert layer.error < 0.1 and layer.own < 0.1
    for wrong in ([1], {"d:centred": [1.0]}, {"d:centred": ["a"] * 6}, {"e:centred": [1.0]}):
        program.manifest["channel_offsets"] = wrong
        with pytest.raises(ProgramError, match="channel_offsets"):
            explain(program, path, Data((FRAMES,)))
