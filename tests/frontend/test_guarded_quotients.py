"""Quotients, and choices that guard them where the divisor is 0, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel, evaluate
from tests.support.onnx_models import Array, agrees, ints, model, run_onnx

CONSTANTS: dict[str, Any] = {
    "zero": np.float32(0),
    "one": np.float32(1),
    "two": np.float32(2),
    "half": np.float32(0.5),
    "last": ints(1),
    "line": ints(-1, 1, 3),
    "shape": ints(1, 3),
    "each": np.array([1, 0, 3], np.float32),
    "w": np.array([[1, -1, 2], [-2, 1, 1]], np.float32),
}
LAYERS = "h = MatMul(x, w) n = Relu(h) g = Neg(h) d = Relu(g) "
SUM = "t = ReduceSum(n, last) "
CASES = {
    "no nan": "c = Equal(d, zero) q = Div(h, d) y = Where(c, zero, q)",
    "no nan, divisor made safe": (
        "c = Equal(d, zero) s = Where(c, one, d) q = Div(h, s) y = Where(c, zero, q)"
    ),
    "divisor made safe": "c = Equal(d, zero) s = Where(c, one, d) y = Div(h, s)",
    "where it is above": "c = Greater(d, zero) q = Div(h, d) y = Where(c, q, one)",
    "scaled": "c = Greater(d, zero) q = Div(n, d) p = Mul(q, two) y = Where(c, p, h)",
    "two quotients": "c = Greater(d, zero) q = Div(h, d) p = Mul(n, d) y = Where(c, q, p)",
    "sum": SUM + "c = Equal(t, zero) q = Div(h, t) y = Where(c, zero, q)",
    "spread sum": (
        SUM + "c = Greater(t, zero) s = Shape(h) e = Expand(c, s) f = Expand(t, s)"
        " q = Div(h, f) y = Where(e, q, zero)"
    ),
    "behind views": (
        "c = Greater(d, zero) q = Div(h, d) p = Mul(q, two) u = Reshape(p, line)"
        " e = Reshape(c, line) t = Transpose<perm=[0,2,1]>(u) f = Transpose<perm=[0,2,1]>(e)"
        " y = Where(f, t, zero)"
    ),
    "shifted": (
        "c = Greater(d, zero) q = Div(h, d) p = Mul(q, two) s = Add(p, half) y = Where(c, s, h)"
    ),
    "shifts behind views": (
        SUM + "c = Greater(t, zero) q = Div(h, t) s = Add(q, half) u = Reshape(s, line)"
        " v = Mul(u, each) a = Add(v, each) e = Unsqueeze(c, last) y = Where(e, a, zero)"
    ),
    "factors in front of views": (
        "c = Greater(d, zero) q = Div(h, d) p = Mul(q, each) u = Reshape(p, line)"
        " v = Mul(u, two) e = Reshape(c, line) y = Where(e, v, zero)"
    ),
    "product behind views": (
        SUM + "c = Greater(t, zero) q = Div(h, t) u = Reshape(q, line) e = Expand(c, shape)"
        " f = Reshape(e, line) y = Where(f, u, zero)"
    ),
    "length": (
        "p = Mul(n, n) t = ReduceSum(p, last) r = Sqrt(t) c = Equal(r, zero)"
        " s = Where(c, one, r) y = Div(h, s)"
    ),
    "far from 0": "a = Abs(h) c = Less(a, half) q = Div(n, h) r = Div(d, q) y = Where(c, zero, q)",
}


def frames() -> Array:
    """Frames of which the first leaves all ReLUs at 0, and others some."""
    found: Array = np.random.default_rng(5).integers(-3, 4, (64, 2)).astype(np.float32)
    found[0] = 0
    return found


@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_what_is_not_chosen_need_not_be_finite(body: str) -> None:
    proto = model("float[N,2] x", LAYERS + body, **CONSTANTS)
    (found,) = evaluate(import_model(proto, None, True).graph, frames())
    (expected,) = run_onnx(proto, {"x": frames()})
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def test_a_function_beside_a_pole_is_cut_to_the_range_of_its_result() -> None:
    body = "c = Equal(d, zero) q = Div(one, d) y = Where(c, zero, q)"
    proto = model("float[N,2] x", LAYERS + body, **CONSTANTS)
    (expected,) = run_onnx(proto, {"x": frames()})
    found = qcompiler.compile(proto, calibration=frames(), t_max=64).run(frames())
    np.testing.assert_allclose(np.asarray(found), expected, 0, 2 / 63)  # levels of up to 1


def test_that_values_of_both_signs_are_0_is_chance() -> None:
    body = "t = ReduceSum(h, last) c = Equal(t, zero) q = Div(h, t) y = Where(c, zero, q)"
    with pytest.raises(UnsupportedModel, match="only chance makes them equal"):
        import_model(model("float[N,2] x", LAYERS + body, **CONSTANTS), None, True)


POINTS = {  # 0 at one point inside the range of what the layer gives, or nowhere
    "magnitude": "p = Abs(h)",
    "square": "p = Pow(h, two)",
    "product": "p = Mul(h, h)",
    "factors": "s = Pow(h, two) p = Mul(s, each)",
    "view": "s = Pow(h, two) u = Reshape(s, line) p = Reshape(u, back)",
    "distance": "s = Sub(d, one) p = Mul(s, s)",
    "limited": "p = Min(h, two)",
    "below": "s = Neg(one) p = Min(d, s)",
}


@pytest.mark.parametrize("body", POINTS.values(), ids=POINTS)
def test_no_level_holds_a_0_inside_a_range(body: str) -> None:
    constants = {**CONSTANTS, "back": ints(-1, 3)}
    proto = model(
        "float[N,2] x", f"{LAYERS} {body} c = Equal(p, zero) y = Where(c, n, d)", **constants
    )
    with pytest.raises(UnsupportedModel, match="only chance makes them equal") as caught:
        import_model(proto, None, True)
    assert "Less(Abs(x), 0.1)" in (caught.value.diagnostics[0].help or "")


@pytest.mark.parametrize("shape", [(3,), (2, 1), (1, 2, 3)])
def test_constants_for_each_element_are_divided_by_a_value(shape: tuple[int, ...]) -> None:
    agrees(model("float[N,2,3] x", "e = Exp(x) y = Div(c, e)", c=shape))
    agrees(model("float[N,1,3] x", "e = Exp(x) y = Div(c, e)", c=(2, 1)))


MOST = "m = ReduceMax<axes=[1]>(h)"
EQUALITIES = {  # what is refused, why, and what the message proposes instead
    "magnitude": ("a = Abs(h) c = Equal(a, zero)", "only chance", "a = Abs(h) c = Less(a, tenth)"),
    "near": ("c = Equal(h, n)", "only chance", "e = Sub(h, n) a = Abs(e) c = Less(a, tenth)"),
    "whole": ("c = Equal(h, n)", "only chance", "a = Round(h) b = Round(n) c = Equal(a, b)"),
    "sum": (
        "t = ReduceSum(x, last) c = Equal(t, zero)",
        "only chance",
        "t = ReduceSum(x, last) c = Less(t, half)",
    ),
    "highest": (f"{MOST} c = Equal(h, m)", "levels tie", f"{MOST} c = GreaterOrEqual(h, m)"),
}


@pytest.mark.parametrize("name", EQUALITIES)
def test_equality_of_real_numbers_has_a_remedy(name: str) -> None:
    refused, why, remedy = EQUALITIES[name]
    layer = "h = MatMul(x, w) n = MatMul(x, v)"
    constants = {**CONSTANTS, "tenth": np.float32(0.1), "v": (2, 3)}
    with pytest.raises(UnsupportedModel, match=why):
        import_model(model("float[N,2] x", f"{layer} {refused} y = Cast<to=1>(c)", **constants))
    proto = model("float[N,2] x", f"{layer} {remedy} y = Cast<to=1>(c)", **constants)
    agrees(proto)
    qcompiler.compile(proto, calibration=frames())
