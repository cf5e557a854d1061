"""Masks of attention that depend on data, as of padding, against onnxruntime."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.frontend.importers.elementwise.masks import nodes_of_masks
from qcompiler.ir import UnsupportedModel, evaluate
from tests.support.onnx_models import ints, model, run_onnx

LOWEST = float(np.finfo(np.float32).min)
CONSTANTS: dict[str, Any] = {
    "one": ints(1),
    "unit": np.float32(1),
    "zero": np.float32(0),
    "huge": np.float32(1e9),
    "pad": np.array(0),
    "causal": np.where(np.tri(4, 5), np.float32(0), np.float32(LOWEST)),
    "seen": np.tri(4, 5, dtype=np.bool_),
    "later": ~np.tri(4, 5, dtype=np.bool_),
    "shape": ints(1, 4, 5),
    "apart": ints(0, 2, 2, 5),
}
ROW = "u = Unsqueeze(m, one)"
ABSENT = f"{ROW} f = Cast<to=1>(u) r = Sub(unit, f)"
BEHIND = "s = Softmax(a) y = Neg(s)"

# name: type of the mask, the number that hides, nodes
CASES: dict[str, tuple[str, float, str]] = {
    "added": ("int64", LOWEST, f"{ABSENT} t = Mul(r, c) a = Add(x, t) {BEHIND}"),
    "added, of -10,000": ("int64", -1e4, f"{ABSENT} t = Mul(r, c) a = Add(x, t) {BEHIND}"),
    "subtracted": ("float", 0, f"{ROW} r = Sub(unit, u) t = Mul(r, huge) a = Sub(x, t) {BEHIND}"),
    "shifted where present": ("float", 1.0, f"{ROW} t = Mul(u, huge) a = Sub(t, x) {BEHIND}"),
    "chosen": ("bool", -1e9, f"{ROW} a = Where(u, x, c) {BEHIND}"),
    "chosen, infinite": ("bool", -np.inf, f"{ROW} a = Where(u, x, c) {BEHIND}"),
    "chosen where absent": ("bool", LOWEST, f"{ROW} n = Not(u) a = Where(n, c, x) {BEHIND}"),
    "chosen, then added": (
        "bool",
        -np.inf,
        f"{ROW} t = Where(u, zero, c) e = Expand(t, shape) a = Add(x, e) {BEHIND}",
    ),
    "as Hugging Face expands it": (
        "int64",
        LOWEST,
        f"{ROW} e = Expand(u, shape) f = Cast<to=1>(e) r = Sub(unit, f) b = Cast<to=9>(r)"
        f" t = Where(b, c, r) a = Add(x, t) {BEHIND}",
    ),
    "of tokens": (
        "int64",
        -np.inf,
        f"{ROW} b = Equal(u, pad) t = Where(b, c, zero) a = Add(x, t) {BEHIND}",
    ),
    "with a causal one": (
        "int64",
        LOWEST,
        f"{ABSENT} t = Mul(r, c) p = Add(t, causal) a = Add(x, p) {BEHIND}",
    ),
    "behind a causal one": (
        "bool",
        LOWEST,
        f"{ROW} p = Add(x, causal) a = Where(u, p, c) {BEHIND}",
    ),
    "and a causal one": ("bool", LOWEST, f"{ROW} b = And(u, seen) a = Where(b, x, c) {BEHIND}"),
    "or a later one": (
        "int64",
        -np.inf,
        f"{ROW} b = Equal(u, pad) h = Or(later, b) t = Where(h, c, zero) a = Add(x, t) {BEHIND}",
    ),
    "behind a bound": (
        "int64",
        LOWEST,
        f"{ABSENT} t = Mul(r, c) p = Add(x, causal) q = Add(p, t) a = Max(q, c) {BEHIND}",
    ),
    "behind another": (
        "bool",
        -np.inf,
        f"{ROW} t = Where(u, zero, c) g = ReduceMax<axes=[1]>(x) b = Greater(g, zero)"
        f" p = Where(b, x, c) a = Add(p, t) {BEHIND}",
    ),
    "in front of views": (
        "bool",
        -1e9,
        f"{ROW} a = Where(u, x, c) r = Reshape(a, apart) s = Softmax(r) y = Neg(s)",
    ),
}


def proto_of(name: str) -> Any:
    kind, number, body = CASES[name]
    weights = {"c": np.float32(number), **CONSTANTS}
    read = {name: array for name, array in weights.items() if re.search(rf"\b{name}[,)]", body)}
    return model(f"float[N,4,5] x, {kind}[N,5] m", body, 13, **read)


def given(name: str, samples: int, fewest: int = 1) -> tuple[Any, Any]:
    """Numbers, and masks of which each hides all but a first part, of ``fewest`` or more."""
    rng = np.random.default_rng(2)
    present = np.arange(5) < rng.integers(fewest, 6, (samples, 1))
    dtype = {"float": np.float32, "int64": np.int64, "bool": np.bool_}[CASES[name][0]]
    return rng.standard_normal((samples, 4, 5), np.float32), present.astype(dtype)


def agrees(name: str, x: Any, m: Any) -> None:
    """Compare the graph with onnxruntime where that gives numbers."""
    graph = import_model(proto_of(name), None, True).graph
    (wanted,) = run_onnx(proto_of(name), {"x": x, "m": m})
    (found,) = evaluate(graph, x, m.astype(np.float32))
    finite = np.isfinite(wanted)
    assert finite.mean() > 0.5
    np.testing.assert_allclose(found[finite], wanted[finite], atol=5e-4)
    assert not nodes_of_masks(graph)


@pytest.mark.parametrize("name", CASES)
def test_means_what_onnxruntime_makes_of_it(name: str) -> None:
    agrees(name, *given(name, 30))


@pytest.mark.parametrize("name", ["added", "added, of -10,000", "chosen", "chosen, then added"])
def test_a_row_that_is_hidden(name: str) -> None:
    """Behind -10,000 its numbers are what they were, behind lower ones all are alike."""
    agrees(name, *given(name, 30, fewest=0))


ATTENTION = "q = MatMul(x, w) k = Transpose<perm=[0,2,1]>(x) h = MatMul(q, k)"
MIXED = "s = Softmax(a) y = MatMul(s, x)"


@pytest.mark.parametrize(
    ("kind", "number", "body", "t_max"),
    [
        ("int64", LOWEST, f"{ABSENT} t = Mul(r, c) a = Add(h, t)", 16),
        ("bool", -np.inf, f"{ROW} a = Where(u, h, c)", 64),
    ],
)
def test_errs_like_a_constant_mask(kind: str, number: float, body: str, t_max: int) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((100, 4, 5), np.float32)
    m = np.arange(4) < rng.integers(1, 5, (100, 1))
    some = np.broadcast_to(np.arange(4) < 3, m.shape)
    weights: dict[str, Any] = {"w": rng.standard_normal((5, 5), np.float32) / 4}
    hidden = np.array([0, 0, 0, LOWEST], np.float32)
    plain = f"{ATTENTION} a = Add(h, c) {MIXED}"
    constant = model("float[N,4,5] x", plain, 13, c=hidden, **weights)
    weights |= {"c": np.float32(number), "one": ints(1)}
    weights |= {"unit": np.float32(1)} if kind == "int64" else {}
    padded = model(f"float[N,4,5] x, {kind}[N,4] m", f"{ATTENTION} {body} {MIXED}", 13, **weights)
    (wanted,) = run_onnx(constant, {"x": x})
    options: dict[str, Any] = {"target": "reference", "t_max": t_max, "allow_products": True}
    usual = qcompiler.compile(constant, calibration=x, **options).run(x) - wanted
    program = qcompiler.compile(padded, calibration=(x, m), **options)
    assert (program.run(x, some) - wanted).std() < 1.3 * usual.std()
    one = x[:1], m[:1]
    steps = program.spikes(*one, engine="steps")
    assert all(np.array_equal(sent, steps[name]) for name, sent in program.spikes(*one).items())


def test_takes_products() -> None:
    with pytest.raises(UnsupportedModel, match="two values that depend on the data") as caught:
        import_model(proto_of("added"))
    assert "--allow-products" in (caught.value.diagnostics[0].help or "")


def test_a_mask_that_something_else_reads_needs_finite_numbers() -> None:
    body = f"{ROW} a = Where(u, x, c) y = Relu(a)"
    proto = model("float[N,4,5] x, bool[N,5] m", body, 13, c=np.float32(-np.inf), one=ints(1))
    with pytest.raises(UnsupportedModel, match="only supported in front of Softmax") as caught:
        import_model(proto, None, True)
    assert caught.value.diagnostics[0].help


def test_a_condition_is_spread_over_what_it_chooses() -> None:
    body = f"{ROW} y = Where(u, x, c)"
    proto = model("float[N,4,5] x, bool[N,5] m", body, 13, c=np.float32(-2), one=ints(1))
    x, m = given("chosen", 20)
    (found,) = evaluate(import_model(proto, None, True).graph, x, m.astype(np.float32))
    np.testing.assert_allclose(found, np.where(m[:, None], x, -2), atol=1e-6)


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
@pytest.mark.parametrize("operands", ["u, b", "b, u"])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (1, 4, 5), (1, 1, 5), (1, 4, 1)])
def test_logic_with_a_constant_for_each_element(
    op: str, operands: str, shape: tuple[int, ...]
) -> None:
    body = f"{ROW} l = {op}({operands}) f = Cast<to=1>(l) y = Add(f, x)"
    b = np.random.default_rng(4).random(shape) < 0.5
    proto = model("float[N,4,5] x, bool[N,5] m", body, 13, b=b, one=ints(1))
    x, m = given("chosen", 20)
    (found,) = evaluate(import_model(proto).graph, x, m.astype(np.float32))
    np.testing.assert_allclose(found, run_onnx(proto, {"x": x, "m": m})[0], atol=1e-6)
