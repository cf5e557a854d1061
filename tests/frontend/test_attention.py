"""Attention as one operator, and what onnxruntime's optimiser fuses, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from qcompiler.comparison.onnxruntime_faults import onnxruntime_faults
from qcompiler.frontend.import_model import import_model
from qcompiler.frontend.importers.elementwise.masks import nodes_of_masks
from qcompiler.ir import UnsupportedModel, evaluate
from tests.frontend.test_onnx_backend import node_cases, run
from tests.support.onnx_models import agrees_in_place, batches, model, run_onnx, run_reference

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
    ("attributes", "mask", "named"),
    [("", ", m", 1), (", is_causal=1", "", 1), ("", "", 0)],
)
def test_a_cap_hides_nothing_less(attributes: str, mask: str, named: int, tmp_path: Path) -> None:
    """ONNX caps scores in front of the mask, onnxruntime behind it."""
    body = f"y = Attention<q_num_heads=2, kv_num_heads=2, softcap=1.5{attributes}>(x, x, x{mask})"
    weights: Any = {"m": np.array([[0, -2e4, 1, -3]] * 4, np.float32)} if mask else {}
    proto = model(ROWS, body, 23, **weights)
    imported = import_model(proto, None, allow_products=True)
    feeds = batches(imported)
    (found,) = evaluate(imported.graph, *feeds.values())
    np.testing.assert_allclose(found, run_reference(proto, feeds)[0], atol=1e-5)
    onnx.save(proto, tmp_path / "net.onnx")
    findings = onnxruntime_faults(tmp_path / "net.onnx")
    assert len(findings) == named and all(one.nodes == ("y_node",) for one in findings)


PACKED = {"w": (6, 18), "b": (18,)}
# name: type and shape of the mask of a sample, nodes, weights
MASKS: dict[str, tuple[str, tuple[int, ...], str, dict[str, Any]]] = {
    "keys": (
        "int32",
        (4,),
        f"{PROJECTED} y = MS.MultiHeadAttention<num_heads=2>(q, k, v, , m)",
        WEIGHTS,
    ),
    "queries and keys": (
        "int32",
        (4, 4),
        f"{PROJECTED} y = MS.MultiHeadAttention<num_heads=2>(q, k, v, , m)",
        WEIGHTS,
    ),
    "bias": (
        "float",
        (2, 4, 4),
        f"{PROJECTED} y = MS.MultiHeadAttention<num_heads=2>(q, k, v, , , m)",
        WEIGHTS,
    ),
    "packed": ("int32", (4,), "y = MS.Attention<num_heads=2>(x, w, b, m)", PACKED),
    "causal": (
        "int32",
        (4,),
        "y = MS.Attention<num_heads=2, unidirectional=1>(x, w, b, m)",
        PACKED,
    ),
    "booleans": (
        "bool",
        (1, 4, 4),
        f"{PROJECTED} y = Attention<q_num_heads=2, kv_num_heads=2, is_causal=1>(q, k, v, m)",
        WEIGHTS,
    ),
    "numbers": (
        "float",
        (2, 4, 4),
        f"{PROJECTED} y = Attention<q_num_heads=2, kv_num_heads=2>(q, k, v, m)",
        WEIGHTS,
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_that_depend_on_data(name: str) -> None:
    kind, shape, body, weights = MASKS[name]
    rows = f"{ROWS}, {kind}[N,{','.join(map(str, shape))}] m"
    proto = model(rows, body.replace("MS.", "com.microsoft."), 23, **weights)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((20, 4, 6), np.float32)
    numbers = rng.standard_normal((20, *shape), np.float32)
    eye = np.eye(4, dtype=np.bool_)  # each query sees itself, or the first
    shown = (numbers > 0) | (eye[0] if len(shape) == 1 else eye)
    dtype = {"int32": np.int32, "bool": np.bool_, "float": np.float32}[kind]
    m = (numbers if kind == "float" else shown).astype(dtype)
    graph = import_model(proto, None, allow_products=True).graph
    (found,) = evaluate(graph, x, m.astype(np.float32))
    np.testing.assert_allclose(found, run_onnx(proto, {"x": x, "m": m})[0], atol=1e-4)
    assert not nodes_of_masks(graph)


def test_a_window_of_fewer_queries_than_keys_is_a_bias() -> None:
    """Of which onnxruntime hides nothing from the last query."""
    body = "q = Gather<axis=1>(x, i) y = MS.MultiHeadAttention<num_heads=2{}>(q, x, x, , , a)"
    weights = {
        "i": np.arange(2),
        "a": np.where(np.tri(2, 4), 0, -1e4).astype(np.float32)[None, None],
    }
    with pytest.raises(UnsupportedModel, match=r"fewer queries than keys.*\n.*y_node.*\n.*bias"):
        import_model(fused(body.format(", unidirectional=1"), **weights), None, True)
    agrees_in_place(fused(body.format(""), **weights), allow_products=True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = MS.Attention<num_heads=2>(x, w, , , x)", "with a cache is"),
        ("y = MS.Attention<num_heads=2>(x, w, , v)", "with such a padding mask"),
        ("y = MS.Attention<num_heads=2, do_rotary=1>(x, w)", "rotary"),
        ("y = MS.MultiHeadAttention<num_heads=2>(x)", "packed"),
        ("y = MS.GroupQueryAttention<num_heads=2>(x)", "GroupQueryAttention is not supported"),
    ],
)
def test_what_is_refused(body: str, reason: str) -> None:
    proto = fused(body, w=(6, 18), v=np.ones(4, np.int32))
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(proto, None, True)
