"""Products of a model, by the formulas of its operators, whatever they are lowered to."""

from __future__ import annotations

from typing import Any

import numpy as np
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


FEATURES, SIZE, LENGTH = 5, 3, 4  # of recurrent layers: inputs, units, time steps
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@pytest.mark.parametrize("name", MODELS)
def test_products(name: str) -> None:
    inputs, body, weights, products = MODELS[name]
    found = import_model(model(inputs, body, 17, **weights), allow_products=True)
    assert model_products(found.graph, found) == products


def test_nodes_of_one_name_are_not_taken_for_each_other() -> None:
    inputs, body, weights, products = MODELS["normalizations"]
    proto = model(inputs, body, 17, **weights)
    for node in proto.graph.node:
        node.name = "all"
    found = import_model(proto, allow_products=True)
    assert model_products(found.graph, found) >= products


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("ways", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", GATES)
def test_first_states_of_recurrent_layers(kind: str, ways: str, before: int) -> None:
    both, gates = 1 + (ways == "bidirectional"), GATES[kind]
    more = {"GRU": f", linear_before_reset={before}"}.get(kind, "")
    states = "h, c" if kind == "LSTM" else "h"
    body = (
        f't = Transpose<perm=[1,0,2]>(x) y = {kind}<hidden_size={SIZE}, direction="{ways}"{more}>'
        f"(t, w, r, , , {states})"
    )
    weights: dict[str, Any] = {
        "w": (both, gates * SIZE, FEATURES),
        "r": (both, gates * SIZE, SIZE),
        "h": (both, 1, SIZE),
        "c": (both, 1, SIZE),
    }
    inputs = f"float[N,{LENGTH},{FEATURES}] x"
    found = import_model(model(inputs, body, **weights), allow_products=True)
    wanted = both * gates * SIZE * LENGTH * (FEATURES + SIZE)
    assert model_products(found.graph, found) == wanted
    weights["h"] = weights["c"] = np.zeros((both, 1, SIZE), np.float32)
    zero = import_model(model(inputs, body, **weights), allow_products=True)
    assert model_products(zero.graph, zero) <= wanted - both * gates * SIZE * SIZE
