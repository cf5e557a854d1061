"""Variances spelled out as the mean of squares less the square of the mean, as JAX writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, Node, Value, evaluate
from qcompiler.ir.ann import Add, Function
from tests.support.onnx_models import Array, model, run_onnx

BIAS = np.linspace(0, 40, 6, dtype=np.float32)  # means far beyond the deviation
MEAN = "g = Mul(h, h) a = ReduceMean(g, axes) m = ReduceMean(h, axes) q = Mul(m, m) y = Sub(a, q)"
UNBIASED = (
    "g = Pow(h, two) p = ReduceSum<keepdims=0>(g, axes) s = ReduceSum<keepdims=0>(h, axes)"
    " e = Mul(s, s) f = Mul(e, each) z = Sub(p, f) y = Mul(z, share)"
)
UNLIKE = {
    "another axis": MEAN.replace("m = ReduceMean(h, axes)", "m = ReduceMean(h, others)"),
    "another value": MEAN.replace("ReduceMean(h, axes)", "ReduceMean(x, axes)"),
    "another sum": UNBIASED.replace("(e, each)", "(e, share)"),
}


def network(body: str) -> Any:
    numbers = {"two": 2, "each": 1 / 6, "share": 1 / 5}
    constants: dict[str, Any] = {name: np.float32(number) for name, number in numbers.items()}
    constants |= {"axes": np.array([2]), "others": np.array([1]), "bias": BIAS}
    return model("float[N,6,6] x", f"h = Add(x, bias) {body}", opset=18, **constants)


def frames() -> Array:
    return np.random.default_rng(3).normal(size=(20, 6, 6)).astype(np.float32)


def centred(graph: Graph) -> list[Node]:
    """The differences of two values that are squared."""
    found = (n for n in graph.nodes if isinstance(n.op, Function) and n.op.formula == "x x *")
    values = (operand for node in found for operand in node.operands if isinstance(operand, Value))
    made = (graph.producer(value) for value in values)
    return [node for node in made if node is not None and isinstance(node.op, Add)]


@pytest.mark.parametrize("body", [MEAN, UNBIASED])
def test_what_is_left_of_the_mean_is_squared(body: str) -> None:
    proto, x = network(body), frames()
    graph = import_model(proto).graph
    assert len(centred(graph)) == 1
    (wanted,) = run_onnx(proto, {"x": x})
    np.testing.assert_allclose(evaluate(graph, x)[0], wanted, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("body", UNLIKE.values(), ids=UNLIKE)
def test_other_differences_stay(body: str) -> None:
    proto, x = network(body), frames()
    graph = import_model(proto).graph
    assert not centred(graph)
    (wanted,) = run_onnx(proto, {"x": x})
    np.testing.assert_allclose(evaluate(graph, x)[0], wanted, rtol=1e-3, atol=1e-2)
