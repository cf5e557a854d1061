"""Layers of which each reader takes some channels or pixels, and functions behind views of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.ir import evaluate
from qcompiler.ir.ann import Conv, Dense, Function
from qcompiler.ir.view import Take
from qcompiler.passes.tensor.fold_linear import FoldLinear
from tests.support.onnx_models import agrees, ints, model

IMAGE, ROW = "float[N,3,4,4] x", "float[N,5] x"
TWO = "y z"

# name: input, nodes, outputs, weights, channels of the layers
APART: dict[str, tuple[str, str, str, dict[str, Any], list[int]]] = {
    "head of boxes and scores": (
        IMAGE,
        "a = Conv(x, w) b = Reshape(a, s) y, c = Split<axis=1>(b, n) z = Sigmoid(c)",
        TWO,
        {"w": (6, 3, 1, 1), "s": ints(0, 6, -1), "n": ints(4, 2)},
        [4, 2],
    ),
    "head with channels last": (
        IMAGE,
        "a = Conv(x, w) t = Transpose<perm=[0,2,3,1]>(a) b = Reshape(t, s)"
        " y, c = Split<axis=2>(b, n) z = Sigmoid(c)",
        TWO,
        {"w": (6, 3, 1, 1), "s": ints(0, 16, 6), "n": ints(4, 2)},
        [4, 2],
    ),
    "gates of a cell": (
        ROW,
        "a = Gemm(x, w) b = Gemm(x, v) c = Add(a, b) d, e = Split<axis=1>(c)"
        " y = Sigmoid(d) z = Tanh(e)",
        TWO,
        {"w": (5, 4), "v": (5, 4)},
        [2, 2],
    ),
    "channels that nothing reads": (
        ROW,
        "a = Gemm(x, w, b) c = Gather<axis=1>(a, i) y = Tanh(c)",
        "y",
        {"w": (5, 9), "b": (9,), "i": ints(3, 0)},
        [2],
    ),
    "a clip of some behind a bias": (
        "float[N,4,6] x",
        "a = MatMul(x, w) b = Add(a, b0) y, c = Split<axis=2>(b, n) z = Relu(c)",
        TWO,
        {"w": (6, 9), "b0": (9,), "n": ints(7, 2)},
        [7, 2],
    ),
    "channels in common": (
        ROW,
        "a = Gemm(x, w) y = Gather<axis=1>(a, i) c = Gather<axis=1>(a, j) z = Tanh(c)",
        TWO,
        {"w": (5, 4), "i": ints(0, 1, 2), "j": ints(2, 3)},
        [4],
    ),
    "a reader of all": (
        ROW,
        "a = Gemm(x, w) c = Gather<axis=1>(a, i) y = Tanh(c) z = Tanh(a)",
        TWO,
        {"w": (5, 4), "i": ints(0, 1)},
        [4],
    ),
    "pixels": (
        IMAGE,
        "a = Conv(x, w, b) y, c = Split<axis=2>(a) z = Tanh(c)",
        TWO,
        {"w": (6, 3, 1, 1), "b": (6,)},
        [6, 6],
    ),
    "pixels of each step": (
        "float[N,4,5] x",
        "a = MatMul(x, w) b = Add(a, b0) y = Gather<axis=1>(b, i) c = Gather<axis=1>(b, j)"
        " z = Tanh(c)",
        TWO,
        {"w": (5, 6), "b0": (4, 6), "i": ints(3, 1), "j": ints(0)},
        [6, 6],
    ),
    "pixels of windows": (
        IMAGE,
        "a = Conv(x, w) y, c = Split<axis=2>(a) z = Tanh(c)",
        TWO,
        {"w": (6, 3, 3, 3)},
        [6],
    ),
    "pixels in common": (
        IMAGE,
        "a = Conv(x, w) y = Gather<axis=2>(a, i) c = Gather<axis=2>(a, j) z = Tanh(c)",
        TWO,
        {"w": (6, 3, 1, 1), "i": ints(0, 1, 2), "j": ints(2, 3)},
        [6],
    ),
}


@pytest.mark.parametrize("name", APART)
def test_layers_come_apart(name: str) -> None:
    inputs, body, outputs, weights, channels = APART[name]
    graph = agrees(model(inputs, body, 13, outputs, **weights)).graph
    folded = FoldLinear()(graph)
    shape = (4, *graph.inputs[0].type.shape)
    batch = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    for one, other in zip(evaluate(folded, batch), evaluate(graph, batch), strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-5)
    layers = [node for node in folded.nodes if isinstance(node.op, Conv | Dense)]
    assert sorted({node.result.type.shape[0] for node in layers}) == sorted(set(channels))
    apart = len(channels) > 1 or name == "channels that nothing reads"
    assert apart != any(isinstance(n.op, Take) for one in layers for n in folded.users(one.result))
    if apart:  # functions follow the layers
        made = [folded.producer(n.operands[0]) for n in folded.nodes if isinstance(n.op, Function)]
        assert all(node is not None and not isinstance(node.op, Take) for node in made)
