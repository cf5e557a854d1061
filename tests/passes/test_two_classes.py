"""Probabilities of two classes become a softmax of the host, and layers in a row become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.ir.ann import Concat, Dense, Function, Softmax
from qcompiler.passes import Pipeline
from qcompiler.registry import find_pass
from tests.support.onnx_models import model, run_onnx

ROW = "float[N, 6] x"
SCORE = "z = Gemm(x, w, b) p = Sigmoid(z) q = Sub(one, p)"
ONE = np.ones(1, np.float32)
WEIGHTS: dict[str, Any] = {"w": (6, 1), "b": np.full(1, 0.7, np.float32), "one": ONE}


def folded(body: str, **weights: Any) -> tuple[Graph, Graph]:
    """A graph as imported, and behind `fold-linear`."""
    graph = import_model(model(ROW, body, **weights)).graph
    return graph, Pipeline.parse("fold-linear", find_pass, {}).run(graph)


def kinds(graph: Graph) -> list[type]:
    return [type(node.op) for node in graph.nodes]


@pytest.mark.parametrize("order", ["q, p", "p, q"])
@pytest.mark.parametrize("behind", ["y = Identity(c)", "y = ArgMax<axis=1>(c)"])
def test_two_probabilities_are_a_softmax(order: str, behind: str) -> None:
    before, after = folded(f"{SCORE} c = Concat<axis=1>({order}) {behind}", **WEIGHTS)
    assert Softmax in kinds(after) and Function not in kinds(after)
    assert kinds(after).count(Dense) == 1 and Concat not in kinds(after)
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32) * 4
    (wanted,), (found,) = evaluate(before, x), evaluate(after, x)
    np.testing.assert_allclose(found, wanted, atol=4e-4)


@pytest.mark.parametrize(
    "body",
    [
        f"{SCORE} c = Concat<axis=1>(q, p) y = MatMul(c, v)",
        "z = Gemm(x, w, b) p = Sigmoid(z) q = Sub(two, p) y = Concat<axis=1>(q, p)",
        "z = Gemm(x, w, b) p = Tanh(z) q = Sub(one, p) y = Concat<axis=1>(q, p)",
    ],
)
def test_others_stay(body: str) -> None:
    extra: dict[str, Any] = {"v": (2, 3), "two": np.full(1, 2, np.float32)}
    used = {name: extra[name] for name in extra if f" {name}" in body.replace("(", " ")}
    before, after = folded(body, **WEIGHTS | used)
    assert Softmax not in kinds(after) and Function in kinds(after)
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x)[0], evaluate(before, x)[0], atol=1e-5)


def test_scores_and_their_negatives_are_one_layer() -> None:
    body = "z = Gemm(x, w, b) n = Neg(z) y = Concat<axis=1>(n, z)"
    weights: dict[str, Any] = {name: WEIGHTS[name] for name in ("w", "b")}
    before, after = folded(body, **weights)
    assert kinds(after) == [Dense]
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x)[0], evaluate(before, x)[0], atol=1e-5)


def test_compiled_probabilities_are_those_of_the_model() -> None:
    proto = model(ROW, f"{SCORE} y = Concat<axis=1>(q, p)", **WEIGHTS)
    x = np.random.default_rng(1).standard_normal((300, 6)).astype(np.float32) * 4
    program = qcompiler.compile(proto, target="reference", calibration=x)
    (wanted,) = run_onnx(proto, {"x": x})
    assert np.sqrt(np.mean((program.run(x) - wanted) ** 2)) < 0.04  # a level near 1/2 is 0.08


@pytest.mark.parametrize("outputs", ["y", "y c"])
def test_a_label_is_compared_in_front_of_no_softmax_that_the_model_has_not(outputs: str) -> None:
    """Scores beside probabilities would look like an error of some times the spread."""
    body = f"{SCORE} c = Concat<axis=1>(q, p) y = ArgMax<axis=1>(c)"
    proto = model(ROW, body, outputs=outputs, **WEIGHTS)
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    x = np.random.default_rng(1).standard_normal((300, 6)).astype(np.float32) * 4
    program = qcompiler.compile(proto, target="reference", calibration=x)
    assert not program.warnings
    ((_, found),) = program.manifest["calibration_check"]["outputs"].items()
    assert found["error"] < 0.1


@pytest.mark.parametrize(("middle", "layers"), [(5, 1), (1, 2)])
def test_layers_in_a_row_are_one_unless_a_bottleneck_saves_synapses(
    middle: int, layers: int
) -> None:
    body = "a = MatMul(x, u) b = Add(a, c) d = MatMul(b, v) y = Relu(d)"
    weights: dict[str, Any] = {"u": (6, middle), "c": (middle,), "v": (middle, 7)}
    before, after = folded(body, **weights)
    assert kinds(after).count(Dense) == layers
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x)[0], evaluate(before, x)[0], atol=1e-4)
