"""Scales, clips and functions behind what arranges a layer move to that layer."""

from __future__ import annotations

from typing import Any

import numpy as np

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate
from qcompiler.ir.ann import Affine, Clip, Function
from qcompiler.passes.folding.arrangement.view_arrays import before_view
from tests.support.onnx_models import model, run_onnx
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


def test_what_a_view_leaves_out_is_as_the_rest_of_its_channel() -> None:
    places = np.array([[0, 1], [4, 5]])  # of two channels of four elements
    found = before_view(np.array([[2.0], [3.0]]), places, (2, 4))
    assert found is not None and found.tolist() == [[2.0], [3.0]]
    assert before_view(np.array([[2.0, 3.0]]), np.array([[0, 0]]), (1, 2)) is None
