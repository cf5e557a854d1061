"""Layers that sum too many elements, in partial sums: the numbers, the limit, and the engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.reference.target import REFERENCE
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.passes import Pipeline
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.tensor.partial_sums import PARTIAL, most_summed
from tests.backends.test_engines import same
from tests.support.onnx_models import model, run_onnx

CONV = "Conv<kernel_shape=[3,3], pads=[1,1,1,1]>"
SMALL = "MaxPool<kernel_shape=[3,3], strides=[3,3]>"
NETWORKS = {
    "convolution": (f"a = {CONV}(x, w) r = Relu(a) y = {CONV}(r, u)", 100),
    "small image": (f"a = {CONV}(x, w) p = {SMALL}(a) y = {CONV}(p, u)", 60),
    "dense": ("f = Flatten(x) h = Gemm(f, d) r = Relu(h) y = Gemm(r, e)", 120),
    "residual": (f"a = {CONV}(x, w) r = Relu(a) b = {CONV}(r, u) c = Add(b, x) y = Relu(c)", 120),
    "two layers": (
        f"a = {CONV}(x, w) r = Relu(a) b = {CONV}(r, u) c = {CONV}(x, s) y = Add(b, c)",
        130,
    ),
    "pool": ("y = GlobalAveragePool(x)", 12),
    "pools": ("a = AveragePool<kernel_shape=[3,6], strides=[3,6]>(x) y = Relu(a)", 9),
}
SHAPES = {"w": (16, 6, 3, 3), "u": (6, 16, 3, 3), "s": (6, 6, 3, 3), "d": (216, 8), "e": (8, 3)}


def folded(name: str) -> tuple[Graph, Graph, int]:
    """A network without batch normalisation, the same with partial sums, and the limit."""
    body, limit = NETWORKS[name]
    shapes: dict[str, Any] = {key: SHAPES[key] for key in SHAPES if f" {key})" in body}
    proto = model("float[N,6,6,6] x", body, **shapes)
    graph = Pipeline.parse("fold-batchnorm,fold-linear{fan_in=1}").run(import_model(proto).graph)
    return graph, Pipeline.parse(f"split-fan-in{{fan_in={limit}}}").run(graph), limit


@pytest.mark.parametrize("name", NETWORKS)
def test_the_numbers_stay_and_no_layer_sums_more(name: str) -> None:
    before, after, limit = folded(name)
    assert any(PARTIAL in node.result.name for node in after.nodes)
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 6)).astype(np.float32)
    (wanted,), (found,) = evaluate(before, x), evaluate(after, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert all(sum(map(most_summed, one.branches)) <= limit for one in fusion_groups(after))


def test_layers_that_fit_stay_whole() -> None:
    graph, _, _ = folded("small image")
    assert Pipeline.parse("split-fan-in{fan_in=64}").run(graph) == graph
    assert Pipeline.parse("split-fan-in").run(graph) == graph


def test_the_smallest_weights_go_into_partial_sums() -> None:
    graph = folded("dense")[1]
    weights = {
        c.name: np.square(c.data).sum(axis=0) for c in graph.constants if ":weight" in c.name
    }
    kept, moved = (weights[f"{layer_name(graph)}{PARTIAL}{at}:weight"] for at in (0, 1))
    assert kept.min() >= moved.max()


def layer_name(graph: Graph) -> str:
    names = (node.result.name for node in graph.nodes)
    return next(name.split(PARTIAL)[0] for name in names if PARTIAL in name)


def test_engines_agree_and_little_is_lost() -> None:
    body, limit = NETWORKS["convolution"]
    proto = model("float[N,6,6,6] x", body, w=SHAPES["w"], u=SHAPES["u"])
    x = np.random.default_rng(1).uniform(0, 1, (64, 6, 6, 6)).astype(np.float32)
    errors = []
    for step in (f"split-fan-in{{fan_in={limit}}}", "split-fan-in"):
        passes = REFERENCE.pipeline.replace("split-fan-in", step)
        program = qcompiler.compile(proto, calibration=x, target="reference", passes=passes)
        same(program.graph, x[:4])
        errors.append(np.abs(program.run(x) - run_onnx(proto, {"x": x})[0]).mean())
    assert errors[0] < 2 * errors[1]  # one more value is rounded, to the same number of levels
