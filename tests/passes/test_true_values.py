"""Layers are fitted to what functions give, not to what their line segments give."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pipeline
from qcompiler.passes.activations.true_values import TrueValues, true_values
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from tests.support.onnx_models import model, run_onnx

BODIES = {
    "silu": "h = MatMul(x, w) s = Sigmoid(h) t = Mul(h, s) y = MatMul(t, v)",
    "tanh": "h = MatMul(x, w) t = Tanh(h) k = MatMul(t, u) r = Relu(k) y = MatMul(r, v)",
    "gate": "h = MatMul(x, w) g = MatMul(x, u2) s = Sigmoid(g) t = Mul(h, s) y = MatMul(t, v)",
    "softplus": "h = MatMul(x, w) t = Softplus(h) y = MatMul(t, v)",
}
WEIGHTS: dict[str, Any] = {"w": (6, 12), "u": (12, 12), "u2": (6, 12), "v": (12, 4)}


def lowered(body: str, data: Array) -> tuple[Graph, ...]:
    used = {name: shape for name, shape in WEIGHTS.items() if f"{name})" in body}
    graph = import_model(model("float[N,6] x", body, **used), allow_products=True).graph
    steps = Pipeline.parse("fold-batchnorm,fold-linear,normalize").given({"calibration": (data,)})
    before = steps.run(graph)
    return before, Pipeline.parse("lower-activations").run(before)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_sums_are_those_before_lowering(body: str) -> None:
    data = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    before, after = lowered(body, data)
    values = true_values(after, (data,))
    assert values is not None
    names = [node.result for node in before.nodes]
    exact = dict(zip((v.name for v in names), evaluate(_all(before), data), strict=True))
    told = 0
    for group in fusion_groups(after):
        found = values.sums(group)
        if found is not None:
            told += 1
            nodes = [node for node in group.nodes if node is not group.clip]
            np.testing.assert_allclose(found, exact[nodes[-1].result.name], rtol=1e-4, atol=1e-5)
    assert told
    assert len(values._known) <= 1 + len(before.outputs)


def _all(graph: Graph) -> Graph:
    return Graph(graph.name, graph.inputs, graph.nodes, tuple(n.result for n in graph.nodes))


def test_what_is_not_lowered_has_none() -> None:
    data = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    before, after = lowered("h = MatMul(x, w) r = Relu(h) y = MatMul(r, v)", data)
    assert after == before and true_values(after, (data,)) is None
    values = TrueValues(before, after, (data,))
    assert all(values.sums(group) is None for group in fusion_groups(after))


def test_what_a_graph_was_made_from_stays_with_it_when_an_equal_one_goes() -> None:
    data = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    other, after = (lowered(BODIES["tanh"], data)[1] for _ in range(2))
    assert other == after
    del other
    gc.collect()
    assert true_values(after, (data,)) is not None


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_outputs_have_no_offset(body: str) -> None:
    """A bias is rounded to far less than a level, so means differ by what clips make of ends."""
    data = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    used = {name: shape for name, shape in WEIGHTS.items() if f"{name})" in body}
    proto = model("float[N,6] x", body, **used)
    program = qcompiler.compile(
        proto, calibration=data, t_max=8, target="reference", allow_products=True
    )
    real = run_onnx(proto, {"x": data})[0]
    off = (program.run(data) - real).mean(axis=0)
    assert np.all(np.abs(off) < 0.02 * real.std(axis=0))
