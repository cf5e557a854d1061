"""Rows of scores that masks hide wholly, and masks that end before the keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from qcompiler.frontend.import_model import import_model
from qcompiler.frontend.importers.elementwise.masks import nodes_of_masks
from qcompiler.ir import InvalidModel, evaluate
from tests.support.onnx_models import model, run_onnx, run_reference

Array = np.ndarray[Any, Any]
WEIGHTS: dict[str, Any] = {name: (6, 6) for name in ("wq", "wk", "wv")}
PROJECTED = "q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv)"
RNG = np.random.default_rng(3)
X = RNG.standard_normal((30, 4, 6), np.float32)
KEYS = RNG.random((30, 4)) < 0.4  # those of some samples are all hidden

# attributes, in front of which stands the operator and behind which its mask
OPERATORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "heads": (f"{PROJECTED} y = com.microsoft.MultiHeadAttention", "(q, k, v, , m)", WEIGHTS),
    "packed": ("y = com.microsoft.Attention", "(x, w, b, m)", {"w": (6, 18), "b": (18,)}),
}


def of_onnxruntime(operator: str, attributes: str) -> Any:
    front, behind, weights = OPERATORS[operator]
    body = f"{front}<num_heads=2{attributes}>{behind}"
    proto = model("float[N,4,6] x, int32[N,4] m", body, **weights)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return proto


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "attributes",
    [
        "",
        ", unidirectional=1",
        ", mask_filter_value=-2.0",
        ", mask_filter_value=-50000.0, unidirectional=1",
        ", mask_filter_value=-3.4e38",
    ],
)
def test_what_onnxruntime_adds_where_keys_are_absent(operator: str, attributes: str) -> None:
    proto, m = of_onnxruntime(operator, attributes), KEYS.astype(np.int32)
    graph = import_model(proto, None, True).graph
    (found,) = evaluate(graph, X, m.astype(np.float32))
    np.testing.assert_allclose(found, run_onnx(proto, {"x": X, "m": m})[0], atol=5e-3)
    assert not nodes_of_masks(graph)


def test_what_hides_must_be_a_number() -> None:
    proto = of_onnxruntime("packed", ", mask_filter_value=1.0")
    proto.graph.node[-1].attribute[-1].f = np.nan
    with pytest.raises(InvalidModel, match="has NaN as its mask_filter_value"):
        import_model(proto, None, True)


HEADS = "q_num_heads=2, kv_num_heads=2"


def agrees(kind: str, shape: tuple[int, ...], attributes: str, m: Array) -> None:
    """Compare attention of ONNX with its reference, behind a mask of data."""
    rows = f"float[N,4,6] x, {kind}[N,{','.join(map(str, shape))}] m"
    body = f"{PROJECTED} y = Attention<{HEADS}{attributes}>(q, k, v, m)"
    proto = model(rows, body, 23, **WEIGHTS)
    graph = import_model(proto, None, True).graph
    (found,) = evaluate(graph, X, m.astype(np.float32))
    np.testing.assert_allclose(found, run_reference(proto, {"x": X, "m": m})[0], atol=1e-4)
    assert not nodes_of_masks(graph)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 4, 4)])
@pytest.mark.parametrize("attributes", ["", ", is_causal=1"])
def test_rows_that_booleans_hide_give_zeros(shape: tuple[int, ...], attributes: str) -> None:
    agrees("bool", shape, attributes, np.random.default_rng(1).random((30, *shape)) < 0.4)


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("shape", [(1, 4, 3), (2, 4, 2), (1, 1, 3)])
def test_keys_that_a_mask_does_not_cover_are_hidden(kind: str, shape: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(1).standard_normal((30, *shape), np.float32)
    agrees(kind, shape, "", numbers > 0.5 if kind == "bool" else numbers)
