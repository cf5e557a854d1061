"""Operators that are spelt out, against onnxruntime: norms, softmax inside, matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import UnsupportedModel, evaluate
from tests.support.onnx_models import (
    agrees_alone,
    agrees_in_place,
    batches,
    ints,
    model,
    run_reference,
)

ROWS = "float[N,4,5] x"
IMAGE = "float[N,6,4,3] x"
FIRST = {"s": (5,), "b": (5,)}
CHANNELS = {"s": (6, 1, 1), "b": (6, 1, 1)}
CAUSAL = ~np.tril(np.ones((4, 5), bool))


def mask(number: float, hidden: Any = CAUSAL) -> Any:
    """A mask to add: this number where something is hidden, else zero."""
    return np.where(hidden, np.float32(number), np.float32(0))


# name: input, nodes, opset, weights
CASES: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "layer norm": (ROWS, "y = LayerNormalization(x, s, b)", 17, FIRST),
    "layer norm of two axes": (
        ROWS,
        "y = LayerNormalization<axis=1, epsilon=0.1>(x, s)",
        17,
        {"s": (4, 5)},
    ),
    "layer norm, time first": (
        ROWS,
        "t = Transpose<perm=[1,0,2]>(x) n = LayerNormalization(t, s, b)"
        " y = Transpose<perm=[1,0,2]>(n)",
        17,
        FIRST,
    ),
    "layer norm in parts": (
        ROWS,
        "m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) p = Pow(d, two) v = ReduceMean<axes=[-1]>(p)"
        " e = Add(v, eps) q = Sqrt(e) r = Div(d, q) g = Mul(r, s) y = Add(g, b)",
        13,
        {**FIRST, "two": np.float32(2), "eps": np.float32(1e-5)},
    ),
    "layer norm of channels": (
        IMAGE,
        "m = ReduceMean<axes=[1]>(x) d = Sub(x, m) p = Mul(d, d) v = ReduceMean<axes=[1]>(p)"
        " e = Add(v, eps) q = Sqrt(e) r = Div(d, q) g = Mul(s, r) y = Add(g, b)",
        13,
        {**CHANNELS, "eps": np.float32(1e-6)},
    ),
    "instance norm": (IMAGE, "y = InstanceNormalization(x, s, b)", 17, {"s": (6,), "b": (6,)}),
    "group norm of groups": (
        IMAGE,
        "y = GroupNormalization<num_groups=2>(x, s, b)",
        18,
        {"s": (2,), "b": (2,)},
    ),
    "group norm": (
        IMAGE,
        "y = GroupNormalization<num_groups=2>(x, s, b)",
        21,
        {"s": (6,), "b": (6,)},
    ),
    "group norm in parts": (
        IMAGE,
        "r = Reshape(x, h) i = InstanceNormalization(r, o, z) q = Shape(x) u = Reshape(i, q)"
        " m = Mul(u, s) y = Add(m, b)",
        17,
        {**CHANNELS, "h": ints(0, 2, -1), "o": np.ones(2, "f4"), "z": np.zeros(2, "f4")},
    ),
    "local response": (IMAGE, "y = LRN<size=3, alpha=0.3, beta=0.6, bias=1.5>(x)", 13, {}),
    "mean and variance": (IMAGE, "y = MeanVarianceNormalization<axes=[2,3]>(x)", 13, {}),
    "norm of squares": (ROWS, "y = LpNormalization<axis=1>(x)", 17, {}),
    "norm of magnitudes": (ROWS, "y = LpNormalization<axis=-1, p=1>(x)", 17, {}),
    "norm in parts": (
        ROWS,
        "b = ReduceL2<axes=[-1]>(x) c = Clip(b, e) s = Shape(x) d = Expand(c, s) y = Div(x, d)",
        17,
        {"e": np.float32(1e-12)},
    ),
    "softmax": (ROWS, "s = Softmax<axis=-1>(x) y = MatMul(s, w)", 17, {"w": (5, 3)}),
    "softmax of two axes": (ROWS, "s = Softmax<axis=1>(x) y = MatMul(s, w)", 11, {"w": (5, 3)}),
    "softmax of softmax": (ROWS, "s = Softmax(x) t = Softmax<axis=1>(s) y = Relu(t)", 17, {}),
    "log softmax": (ROWS, "s = LogSoftmax<axis=1>(x) y = MatMul(s, w)", 17, {"w": (5, 3)}),
    "softmax behind views": (
        ROWS,
        "s = Softmax(x) t = Transpose<perm=[0,2,1]>(s) c = Concat<axis=1>(t, t) y = Neg(c)",
        17,
        {},
    ),
    "large mask": (ROWS, "a = Add(x, m) s = Softmax(a) y = Neg(s)", 17, {"m": mask(-1e9)}),
    "subtracted mask": (ROWS, "a = Sub(x, m) s = Softmax(a) y = Neg(s)", 17, {"m": mask(1e9)}),
    "infinite mask": (
        ROWS,
        "a = Add(x, m) s = Softmax(a) y = Neg(s)",
        17,
        {"m": mask(-np.inf)[None]},
    ),
    "two masks": (
        ROWS,
        "a = Add(x, m) b = Add(a, n) s = Softmax(b) y = Neg(s)",
        17,
        {"m": mask(-3.4e38), "n": mask(-1e4, np.arange(5) == 2)},
    ),
    "mask behind a scale": (
        ROWS,
        "a = Mul(x, h) b = Where(c, m, a) s = Softmax(b) y = Neg(s)",
        17,
        {"h": np.float32(0.5), "m": np.float32(-3.4e38), "c": CAUSAL[None]},
    ),
    "mask by where": (
        ROWS,
        "a = Where(c, x, m) r = Reshape(a, h) s = Softmax(r) y = Neg(s)",
        17,
        {"m": np.float32(-np.inf), "c": ~CAUSAL, "h": ints(0, 2, 2, 5)},
    ),
    "masked output": (ROWS, "a = Add(x, m) y = Softmax(a)", 17, {"m": mask(-1e9)}),
    "a row that is hidden": (
        ROWS,
        "a = Add(x, m) s = Softmax(a) t = Slice(s, o, e, o) y = Neg(t)",
        17,
        {"m": mask(-1e9, np.arange(4)[:, None] == 0), "o": ints(1), "e": ints(4)},
    ),
    "matrices": (
        ROWS,
        "t = Transpose<perm=[0,2,1]>(x) n = Abs(t) y = MatMul(x, n)",
        13,
        {},
    ),
    "heads": (
        "float[N,4,6] x",
        "r = Reshape(x, h) q = Transpose<perm=[0,2,1,3]>(r) k = Transpose<perm=[0,2,3,1]>(r)"
        " a = MatMul(q, k) s = Softmax(a) o = MatMul(s, q) y = Transpose<perm=[0,2,1,3]>(o)",
        17,
        {"h": ints(0, 4, 2, 3)},
    ),
    "one head for all": (
        "float[N,4,6] x",
        "r = Reshape(x, h) q = Transpose<perm=[0,2,1,3]>(r) k = Transpose<perm=[0,2,3,1]>(r)"
        " m = ReduceMean<axes=[1]>(k) y = MatMul(q, m)",
        17,
        {"h": ints(0, 4, 2, 3)},
    ),
    "heads joined with samples": (
        "float[4,N,6] x",
        "r = Reshape(x, h) q = Transpose<perm=[1,0,2]>(r) k = Transpose<perm=[1,2,0]>(r)"
        " a = MatMul(q, k) s = Softmax(a) o = MatMul(s, q) t = Transpose<perm=[1,0,2]>(o)"
        " y = Reshape(t, g)",
        17,
        {"h": ints(4, -1, 3), "g": ints(4, -1, 6)},
    ),
    "einsum": (ROWS, 'b = Abs(x) y = Einsum<equation="nij,nkj->nik">(x, b)', 17, {}),
    "einsum of sums": (ROWS, 'b = Abs(x) y = Einsum<equation="nij,nik->nj">(x, b)', 17, {}),
    "outer product": (ROWS, 'b = Abs(x) y = Einsum<equation="nij,nkl->nlijk">(x, b)', 17, {}),
    "quotient": (
        ROWS,
        "b = Exp(x) c = ReduceSum<keepdims=1>(b, i) y = Div(x, c)",
        17,
        {"i": ints(-1)},
    ),
    "waves": ("float[N,6] x", "a = Sin(x) b = Cos(x) y = Concat<axis=1>(a, b)", 13, {}),
    "mish in parts": (
        ROWS,
        "a = Exp(x) b = Add(a, e) c = Log(b) g = Greater(x, far) w = Where(g, x, c)"
        " t = Tanh(w) y = Mul(x, t)",
        17,
        {"e": np.float32(1), "far": np.float32(20)},
    ),
    "guard of softmax": (
        ROWS,
        "s = Softmax(x) n = IsNaN(s) c = Where(n, z, s) y = Neg(c)",
        17,
        {"z": np.float32(0)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_means_what_onnxruntime_makes_of_it(name: str) -> None:
    inputs, body, opset, weights = CASES[name]
    proto = model(inputs, body, opset, **weights)
    imported = agrees_in_place(proto, allow_products=True)
    assert all(outcome.kind != "host" for outcome in imported.report)


def test_rms_norm() -> None:
    """Not known to onnxruntime for Python 3.10."""
    proto = model(ROWS, "y = RMSNormalization<epsilon=0.1>(x, s)", 23, s=(5,))
    imported = import_model(proto, None, True)
    feeds = batches(imported)
    (wanted,) = run_reference(proto, feeds)
    np.testing.assert_allclose(evaluate(imported.graph, *feeds.values())[0], wanted, 1e-5, 1e-5)


def test_gemm_of_two_values_in_one_sample() -> None:
    body = "b = Abs(x) y = Gemm<transA=1, alpha=0.5, beta=2.0>(x, b, c)"
    agrees_alone(model("float[1,4] x", body, c=(4,)), allow_products=True)


def test_softmax_inside_needs_no_products_and_its_output_stays_on_the_host() -> None:
    proto = model(ROWS, "y = Softmax(x) z = MatMul(y, w)", 17, outputs="y z", w=(5, 3))
    graph = agrees_in_place(proto).graph
    assert [node.op.mnemonic for node in graph.nodes].count("ann.softmax") == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = LayerNormalization<axis=0>(x, s)", "mixes the batch axis"),
        ("y = LpNormalization<axis=0>(x)", "mixes the batch axis"),
        ("y = MatMul(x, t)", "mixes the batch axis"),
        ('y = Einsum<equation="nij,mij->nm">(x, x)', "mixes the batch axis"),
        ('y = Einsum<equation="nij,njj->ni">(x, u)', "of a diagonal"),
    ],
)
def test_what_is_refused(body: str, reason: str) -> None:
    views = "t = Transpose<perm=[1,0,2]>(x) u = Slice(x, zero, four, two)"
    constants: dict[str, Any] = {"zero": ints(0), "four": ints(4), "two": ints(2), "s": (5,)}
    proto = model(ROWS, f"{views} {body}", **constants)
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(proto, None, True)


def test_norms_count_their_products() -> None:
    proto = model(ROWS, "y = LayerNormalization(x, s)", s=(5,))
    (outcome,) = check_model(proto)
    assert "LayerNormalization of two values" in (outcome.reason or "")
    assert "--allow-products" in (outcome.help or "")
