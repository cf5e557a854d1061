"""Normalisations over one element, of which nothing but the bias is left: constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import UnsupportedModel, evaluate
from qcompiler.ir.ann import Function, Multiply
from tests.support.onnx_models import agrees, agrees_in_place, model, run_reference

PIXEL, ROWS = "float[N,4,1,1] x", "float[N,3,1] x"
SCALE: dict[str, Any] = {"s": (4,), "b": (4,)}
ONE: dict[str, Any] = {"s": (1,), "b": (1,)}

# Inputs, nodes up to n, the opset, and weights.
CASES: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "instance": (PIXEL, "n = InstanceNormalization(x, s, b)", 17, SCALE),
    "group": (PIXEL, "n = GroupNormalization<num_groups=4>(x, s, b)", 21, SCALE),
    "group of opset 18": (PIXEL, "n = GroupNormalization<num_groups=4>(x, s, b)", 18, SCALE),
    "layer": (ROWS, "n = LayerNormalization(x, s, b)", 17, ONE),
    "layer without bias": (ROWS, "n = LayerNormalization<axis=2>(x, s)", 17, {"s": (1,)}),
    "mean and variance": (PIXEL, "n = MeanVarianceNormalization<axes=[2,3]>(x)", 17, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bias_is_left(name: str) -> None:
    inputs, body, opset, weights = CASES[name]
    proto = model(inputs, f"{body} r = Relu(n) y = Add(x, r)", opset, **weights)
    agrees(proto, runner=run_reference)
    assert [one.kind for one in check_model(proto)][:2] == ["constant"] * 2


def test_the_bias_is_left_where_the_batch_axis_is_second() -> None:
    body = "n = LayerNormalization<axis=3>(x, s, b) y = Add(x, n)"
    proto = model("float[3,N,2,1] x", body, **ONE)
    imported = import_model(proto)
    assert imported.batch_axes == {"x": 1, "y": 1}
    x = np.random.default_rng(0).standard_normal((3, 5, 2, 1), np.float32)
    (wanted,) = run_reference(proto, {"x": x})
    (found,) = evaluate(imported.graph, np.moveaxis(x, 1, 0))
    np.testing.assert_allclose(np.moveaxis(found, 0, 1), wanted, 1e-5, 1e-5)


def test_statistics_of_one_element() -> None:
    body = "n, m, d = LayerNormalization(x, s, b) a = Mul(m, d) y = Add(a, n)"
    proto = model(ROWS, body, outputs="y m d", **ONE)
    agrees(proto, runner=run_reference)


def test_layers_behind_it_are_constants() -> None:
    body = "n = InstanceNormalization(x, s, b) c = Conv(n, w) g = Sigmoid(c) y = Mul(x, g)"
    proto = model(PIXEL, body, **SCALE, w=(4, 4, 1, 1))
    graph = agrees_in_place(proto).graph
    assert not any(isinstance(node.op, Function | Multiply) for node in graph.nodes)


def test_a_model_of_which_nothing_else_is_left() -> None:
    proto = model(PIXEL, "y = InstanceNormalization(x, s, b)", **SCALE)
    with pytest.raises(UnsupportedModel, match=r"no output .* depends on its inputs\n.*--check"):
        import_model(proto)
    assert "constant" in [one.kind for one in check_model(proto) if one.name == "y_node"]
