"""Products of a model, by the formulas of its operators, whatever they are lowered to."""

from __future__ import annotations

from typing import Any

import pytest

from qcompiler.compilation.products import model_products
from qcompiler.frontend.import_model import import_model
from tests.support.onnx_models import model

# name: input, nodes, weights, products
MODELS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "dense": ("float[N,6] x", "y = Gemm(x, w)", {"w": (6, 4)}, 24),
    "rows": ("float[N,5,6] x", "y = MatMul(x, w)", {"w": (6, 4)}, 5 * 24),
    "convolution": (
        "float[N,3,8,8] x",
        "y = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)",
        {"w": (4, 3, 3, 3)},
        4 * 4 * 4 * 27,
    ),
    "depthwise": ("float[N,4,8,8] x", "y = Conv<group=4>(x, w)", {"w": (4, 1, 3, 3)}, 4 * 36 * 9),
    "transposed convolution": (
        "float[N,3,5,5] x",
        "y = ConvTranspose<strides=[2,2]>(x, w)",
        {"w": (3, 4, 3, 3)},
        5 * 5 * 3 * 4 * 9,
    ),
    "normalizations": (
        "float[N,4,6] x",
        "i = InstanceNormalization(x, s, b) l = LayerNormalization(i, t) y = MatMul(l, w)",
        {"s": (4,), "b": (4,), "t": (6,), "w": (6, 2)},
        4 * 12,
    ),
    "product of matrices": (
        "float[N,4,6] x",
        "q = MatMul(x, w) k = Transpose<perm=[0,2,1]>(x) y = MatMul(q, k)",
        {"w": (6, 6)},
        4 * 36 + 4 * 4 * 6,
    ),
    "gates": ("float[N,6] x", "g = Sigmoid(x) y = Mul(x, g)", {}, 0),
}


@pytest.mark.parametrize("name", MODELS)
def test_products(name: str) -> None:
    inputs, body, weights, products = MODELS[name]
    found = import_model(model(inputs, body, 17, **weights), allow_products=True)
    assert model_products(found.graph, found.report) == products


def test_nodes_of_one_name_are_not_taken_for_each_other() -> None:
    inputs, body, weights, products = MODELS["normalizations"]
    proto = model(inputs, body, 17, **weights)
    for node in proto.graph.node:
        node.name = "all"
    found = import_model(proto, allow_products=True)
    assert model_products(found.graph, found.report) >= products
