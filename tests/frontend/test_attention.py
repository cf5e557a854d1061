"""Attention as one operator, and what onnxruntime's optimiser fuses, against onnxruntime."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import helper

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel
from tests.frontend.test_onnx_backend import node_cases, run
from tests.support.onnx_models import agrees_in_place, model

ROWS = "float[N,4,6] x"
WEIGHTS = {name: (6, 6) for name in ("wq", "wk", "wv")}
PROJECTED = "q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv)"

# name: nodes, weights; operators of com.microsoft are written without their domain
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "heads": (
        f"{PROJECTED} y = MS.MultiHeadAttention<num_heads=2>(q, k, v, b)",
        {**WEIGHTS, "b": (18,)},
    ),
    "causal heads behind a bias": (
        "q = MatMul(x, wq) y = MS.MultiHeadAttention<num_heads=2, unidirectional=1, scale=0.3>"
        "(q, x, x, , , a)",
        {"wq": (6, 6), "a": (1, 2, 4, 4)},
    ),
    "packed": ("y = MS.Attention<num_heads=2>(x, w, b)", {"w": (6, 18), "b": (18,)}),
    "causal": (
        "y = MS.Attention<num_heads=2, unidirectional=1>(x, w, b)",
        {"w": (6, 18), "b": (18,)},
    ),
    "skip": (
        "u = MatMul(x, w) y = MS.SkipLayerNormalization<epsilon=0.01>(x, u, g, b, c)",
        {"w": (6, 6), "g": (6,), "b": (6,), "c": (6,)},
    ),
    "skip and its sum": (
        "u = MatMul(x, w) z, m, i, s = MS.SkipLayerNormalization<epsilon=0.1>(x, u, g)"
        " y = Add(z, s)",
        {"w": (6, 6), "g": (6,)},
    ),
    "simplified skip": (
        "u = MatMul(x, w) z, m, i, s = MS.SkipSimplifiedLayerNormalization(x, u, g, c)"
        " y = Add(z, s)",
        {"w": (6, 6), "g": (6,), "c": (6,)},
    ),
    "simplified": ("y = SimplifiedLayerNormalization<axis=-1, epsilon=0.01>(x, g)", {"g": (6,)}),
    "gelu with a bias": ("y = MS.BiasGelu(x, c)", {"c": (6,)}),
    "kinds of gelu": (
        "a = MS.FastGelu(x, c) b = MS.FastGelu(a) d = MS.Gelu(b) y = MS.QuickGelu<alpha=1.5>(d)",
        {"c": (6,)},
    ),
    "matrices": (
        "a = MS.FusedMatMul<alpha=0.3, transB=1>(x, x)"
        " y = MS.FusedMatMul<transA=1, alpha=2.0>(a, x)",
        {},
    ),
    "matrix": ("y = MS.FusedMatMul<transB=1, alpha=2.0>(x, w)", {"w": (3, 6)}),
}


def fused(body: str, **weights: Any) -> Any:
    """A model with operators of onnxruntime."""
    proto = model(ROWS, body.replace("MS.", "com.microsoft."), **weights)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return proto


@pytest.mark.parametrize("name", CASES)
def test_what_onnxruntime_fuses(name: str) -> None:
    body, weights = CASES[name]
    agrees_in_place(fused(body, **weights), allow_products=True)


def test_attention_of_onnx() -> None:
    """ONNX's own cases, with queries, keys and values as data; bfloat16 rounds inside."""
    right = 0
    for case in node_cases():
        if {n.op_type for n in case[1].graph.node} == {"Attention"} and "bf16" not in case[0]:
            for free in (False, True):
                try:
                    run(case, free, data=3)
                    right += 1
                except UnsupportedModel:
                    continue
    assert right >= 40  # of those of onnx 1.19; newer ones have more


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = MS.Attention<num_heads=2>(x, w, , x)", "with a cache or a padding mask"),
        ("y = MS.Attention<num_heads=2, do_rotary=1>(x, w)", "rotary"),
        ("y = MS.MultiHeadAttention<num_heads=2>(x)", "packed"),
        ("y = MS.GroupQueryAttention<num_heads=2>(x)", "GroupQueryAttention is not supported"),
    ],
)
def test_what_is_refused(body: str, reason: str) -> None:
    proto = fused(body, w=(6, 18))
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(proto, None, True)
