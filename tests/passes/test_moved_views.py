"""Scales, clips and functions behind what arranges a layer move to that layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate
from qcompiler.ir.ann import Affine, Clip, Function
from qcompiler.passes.folding.arrangement.view_arrays import before_view
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.random_networks import compiled
from tests.support.rewrites import FOLDED

DECODER = (
    "a = ConvTranspose<strides=[2,2], pads=[0,0,1,1]>(x, W)"
    " b = BatchNormalization(a, scale, shift, mean, var) r = Relu(b)"
    " c = ConvTranspose<strides=[2,2]>(r, V) y = Tanh(c)"
)


def test_transposed_convolutions_need_no_population_of_their_own() -> None:
    rng = np.random.default_rng(0)
    names = ("scale", "var", "mean")
    each: dict[str, Any] = {name: rng.uniform(0.5, 2, 3).astype(np.float32) for name in names}
    proto = model(
        "float[N,4,4,4] x", DECODER, W=(4, 3, 2, 2), V=(3, 2, 2, 2), shift=-each["mean"], **each
    )
    graph = compiled(import_model(proto).graph, FOLDED)
    assert not any(isinstance(node.op, Affine) for node in graph.nodes)
    sources = [
        graph.producer(n.operands[0]) for n in graph.nodes if isinstance(n.op, Clip | Function)
    ]
    assert [source.op.mnemonic for source in sources if source] == ["ann.conv", "ann.conv"]
    x = rng.standard_normal((80, 4, 4, 4)).astype(np.float32)
    (real,) = run_onnx(proto, {"x": x})
    np.testing.assert_allclose(evaluate(graph, x)[0], real, 1e-5, 1e-5)
    program = qcompiler.compile(proto, calibration=x, target="reference")
    assert not any("phases" in row.name for row in program.report().populations)


@pytest.mark.parametrize("behind", ["y = Identity(m)", "c = Mul(m, factor) y = Relu(c)"])
def test_means_over_stacked_branches_end(behind: str) -> None:
    """Each branch is a window over its part: what scales the sum cannot go into one."""
    proto = model(
        "float[1,4] x",
        "p = MatMul(x, P) q = MatMul(x, Q) a = Relu(p) b = Relu(q) c0 = Reshape(a, stacked)"
        " c1 = Reshape(b, stacked) s = Concat<axis=0>(c0, c1)"
        f" m = ReduceMean<axes=[0], keepdims=0>(s) {behind}",
        P=(4, 3),
        Q=(4, 3),
        stacked=ints(1, -1, 3),
        factor=np.array([1, -1, 2], np.float32),
    )
    graph = import_model(proto).graph
    x = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
    (real,) = run_onnx(proto, {"x": x})
    np.testing.assert_allclose(evaluate(compiled(graph, FOLDED), x)[0], real, 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("shape", "heads"),
    [
        ("N,4", "y = Gemm(a, P) r = Gemm(a, Q) z = Relu(r)"),
        ("N,4,5,6", "y = Conv(a, K) z = Conv<pads=[1,1,1,1]>(a, L)"),
    ],
)
def test_a_scale_that_several_layers_read_is_in_all(shape: str, heads: str) -> None:
    """As of scikit-learn's scaler; a population in front of all would cost levels."""
    rng = np.random.default_rng(0)
    each = (4,) if shape == "N,4" else (4, 1, 1)
    scale, shift = rng.uniform(0.5, 2, each), rng.standard_normal(each)
    weights: dict[str, Any] = {"P": (4, 3), "Q": (4, 2), "K": (3, 4, 1, 1), "L": (2, 4, 3, 3)}
    proto = model(
        f"float[{shape}] x",
        f"m = Sub(x, shift) a = Mul(m, scale) {heads}",
        outputs="y z",
        scale=scale.astype(np.float32),
        shift=shift.astype(np.float32),
        **{name: of for name, of in weights.items() if f", {name})" in heads},
    )
    graph = import_model(proto).graph
    folded = compiled(graph, FOLDED)
    assert not any(isinstance(node.op, Affine) for node in folded.nodes)
    x = rng.standard_normal((3, *graph.inputs[0].type.shape)).astype(np.float32)
    for ours, real in zip(evaluate(folded, x), run_onnx(proto, {"x": x}), strict=True):
        np.testing.assert_allclose(ours, real, 1e-5, 1e-5)


def test_what_a_view_leaves_out_is_as_the_rest_of_its_channel() -> None:
    places = np.array([[0, 1], [4, 5]])  # of two channels of four elements
    found = before_view(np.array([[2.0], [3.0]]), places, (2, 4))
    assert found is not None and found.tolist() == [[2.0], [3.0]]
    assert before_view(np.array([[2.0, 3.0]]), np.array([[0, 0]]), (1, 2)) is None
