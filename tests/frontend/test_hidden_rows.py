"""Rows of scores that masks hide wholly, and masks that end before the keys."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from qcompiler.frontend.import_model import import_model
from qcompiler.frontend.importers.elementwise.masks import nodes_of_masks
from qcompiler.ir import InvalidModel, evaluate
from tests.support.onnx_models import ints, model, run_onnx, run_reference

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


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "attributes",
    ["", ", unidirectional=1", ", mask_filter_value=-3.4e38", ", mask_filter_value=-2.0"],
)
@pytest.mark.parametrize("keys", [[1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]])
def test_what_it_adds_for_a_constant_mask(operator: str, attributes: str, keys: list[int]) -> None:
    """One row for all samples; the numbers of a hidden row are rounded beside -10,000."""
    proto = of_onnxruntime(operator, attributes)
    del proto.graph.input[1]
    mask = np.tile(np.array(keys, np.int32), (30, 1))
    proto.graph.initializer.append(numpy_helper.from_array(mask, "m"))
    graph = import_model(proto, None, True).graph
    (found,) = evaluate(graph, X)
    np.testing.assert_allclose(found, run_onnx(proto, {"x": X})[0], atol=5e-3)
    assert not nodes_of_masks(graph)


def test_a_constant_mask_of_fewer_keys_is_not_valid() -> None:
    proto = of_onnxruntime("heads", "")
    del proto.graph.input[1]
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 3), np.int32), "m"))
    with pytest.raises(InvalidModel, match=r"y_node.* has a padding mask for 3 of 4 keys"):
        import_model(proto, None, True)


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


SCORES: dict[str, Any] = {
    "one": ints(1),
    "two": ints(2),
    "zero": np.float32(0),
    "unit": np.float32(1),
    "c": np.float32(-1e9),
    "d": np.float32(-1e4),
    "low": np.float32(np.finfo(np.float32).min),
    "seen": np.tri(4, dtype=np.bool_)[None],
    "shown": np.tri(4, dtype=np.float32)[None],
    "causal": np.where(np.tri(4), np.float32(0), np.float32(-1e9)),
    "lowest": np.where(np.tri(4), np.float32(0), np.finfo(np.float32).min),
}
KEY, QUERY = "k = Unsqueeze(m, one)", "q = Unsqueeze(m, two)"
ADDED = f"{KEY} t = Where(k, zero, c)"
TWO = f"{ADDED} {QUERY} u = Where(q, zero, c)"
FLAGS = f"{KEY} {QUERY}"
HIDDEN = "r = Sub(unit, b) t = Mul(r, d) a = Add(x, t)"

# name: type of the mask, nodes
MASKS: dict[str, tuple[str, str]] = {
    "sum": ("bool", f"{ADDED} s = Add(t, causal) a = Add(x, s)"),
    "sum behind a bound": ("bool", f"{ADDED} s = Add(t, causal) l = Max(s, c) a = Add(x, l)"),
    "scores behind a bound": (
        "bool",
        f"{KEY} t = Where(k, zero, low) s = Add(x, lowest) p = Add(s, t) a = Max(p, low)",
    ),
    "the lower one": ("bool", f"{ADDED} l = Min(t, causal) a = Add(x, l)"),
    "the lower one of two": ("bool", f"{TWO} l = Min(t, u) a = Add(x, l)"),
    "sum of two": ("bool", f"{TWO} l = Add(t, u) a = Add(x, l)"),
    "sum of two behind a bound": ("bool", f"{TWO} s = Add(t, u) l = Max(s, c) a = Add(x, l)"),
    "chosen of a sum": ("bool", f"{KEY} s = Add(x, causal) a = Where(k, s, c)"),
    "chosen of a chosen one": ("bool", f"{KEY} s = Where(k, x, c) a = Where(seen, s, c)"),
    "chosen twice": ("bool", f"{ADDED} s = Where(seen, t, c) a = Add(x, s)"),
    "chosen twice by data": ("bool", f"{ADDED} {QUERY} u = Where(q, t, c) a = Add(x, u)"),
    "by far more than constants": (
        "bool",
        f"{KEY} t = Where(k, zero, d) s = Add(t, causal) a = Add(x, s)",
    ),
    "by far more than data": ("bool", f"{TWO} v = Where(q, zero, d) s = Add(t, v) a = Add(x, s)"),
    "smaller flags": ("float", f"{KEY} b = Min(k, shown) {HIDDEN}"),
    "larger flags": ("float", f"{KEY} b = Max(shown, k) {HIDDEN}"),
    "smaller flags of data": ("float", f"{FLAGS} b = Min(k, q) {HIDDEN}"),
    "product of flags": ("float", f"{FLAGS} b = Mul(k, q) {HIDDEN}"),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_in_front_of_masks(name: str) -> None:
    """What a sum hides twice is hidden by more than what it hides once."""
    kind, body = MASKS[name]
    body = f"{body} z = Softmax(a) y = Neg(z)"
    read = {name: array for name, array in SCORES.items() if re.search(rf"\b{name}[,)]", body)}
    proto = model(f"float[N,4,4] x, {kind}[N,4] m", body, 13, **read)
    graph = import_model(proto, None, True).graph
    x, m = X[:, :, :4].copy(), KEYS.astype(np.bool_ if kind == "bool" else np.float32)
    (found,) = evaluate(graph, x, m.astype(np.float32))
    np.testing.assert_allclose(found, run_onnx(proto, {"x": x, "m": m})[0], atol=1e-3)
    assert not nodes_of_masks(graph)
