"""Distances from minima and to maxima are never negative, so that they may be exactly 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel, evaluate
from tests.support.onnx_models import Array, ints, model, run_onnx

CONSTANTS: dict[str, Any] = {
    "zero": np.float32(0),
    "two": np.float32(2),
    "alike": ints(-1, 1, 1),
    "line": ints(-1, 12),
    "rows": ints(-1, 4, 3),
    "first": ints(1),
    "second": ints(2),
    "third": ints(3),
    "each": np.array([1, 2, 3], np.float32),
}
LOW, HIGH = "m = ReduceMin<axes=[1,2]>(x)", "h = ReduceMax<axes=[1,2]>(x)"
TOP = "p = ReduceMax<axes=[1,2]>(d)"
SPANS = {
    "range": f"{LOW} {HIGH} p = Sub(h, m)",
    "above the minimum": f"{LOW} d = Sub(x, m) {TOP}",
    "below the maximum": f"{HIGH} d = Sub(h, x) {TOP}",
    "mean above the minimum": f"{LOW} d = Sub(x, m) p = ReduceMean<axes=[1,2]>(d)",
    "reshaped": (
        "n = ReduceMin<keepdims=0,axes=[1,2]>(x) m = Reshape(n, alike) d = Sub(x, m)"
        " o = ReduceMax<keepdims=0,axes=[1,2]>(d) p = Reshape(o, alike)"
    ),
    "scaled": f"{LOW} a = Mul(x, two) b = Mul(m, two) d = Sub(a, b) {TOP}",
    "in another order": (
        "u = Reshape(x, line) m = ReduceMin<axes=[1]>(u) t = Transpose<perm=[0,2,1]>(x)"
        f" n = Reshape(m, alike) d = Sub(t, n) {TOP}"
    ),
    "rows": f"m = ReduceMin<axes=[2]>(x) d = Sub(x, m) {TOP}",
    "whole above rows": f"m = ReduceMin<axes=[2]>(x) {HIGH} d = Sub(h, m) {TOP}",
}
OTHERS = {  # of either sign
    "other rows": (
        "t = Transpose<perm=[0,2,1]>(x) u = Reshape(t, rows) m = ReduceMin<axes=[2]>(x)"
        f" d = Sub(u, m) {TOP}"
    ),
    "not the same factor": f"{LOW} b = Mul(m, two) d = Sub(x, b) {TOP}",
    "factors of columns": f"{LOW} a = Mul(x, each) d = Sub(a, m) {TOP}",
    "above the maximum": f"{HIGH} d = Sub(x, h) p = ReduceMin<axes=[1,2]>(d)",
    "row above another": (
        "m = ReduceMin<axes=[2]>(x) a = Slice(x, second, third, first)"
        f" b = Slice(m, first, second, first) d = Sub(a, b) {TOP}"
    ),
}


def frames() -> Array:
    """Frames of many ranges; in every eighth, all elements are equal."""
    rng = np.random.default_rng(3)
    found: Array = rng.normal(size=(64, 4, 3)) * rng.uniform(0.5, 2, (64, 1, 1))
    found[::8] = 0.5
    return found.astype(np.float32)


def guarded(body: str) -> Any:
    """A model that divides by a distance unless it is 0."""
    end = "q = Div(x, p) c = Equal(p, zero) y = Where(c, zero, q)"
    return model("float[N,4,3] x", f"{body} {end}", **CONSTANTS)


@pytest.mark.parametrize("body", SPANS.values(), ids=SPANS)
def test_a_span_may_be_0(body: str) -> None:
    proto = guarded(body)
    (found,) = evaluate(import_model(proto, None, True).graph, frames())
    (expected,) = run_onnx(proto, {"x": frames()})
    np.testing.assert_allclose(found, expected, 1e-4, 1e-4)


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_other_differences_are_0_by_chance(body: str) -> None:
    with pytest.raises(UnsupportedModel, match="only chance makes them equal"):
        import_model(guarded(body), None, True)


def test_what_is_normalised_by_its_own_range_compiles() -> None:
    body = f"{LOW} d = Sub(x, m) {TOP} q = Div(d, p) c = Equal(p, zero) y = Where(c, zero, q)"
    proto = model("float[N,4,3] x", body, **CONSTANTS)
    (expected,) = run_onnx(proto, {"x": frames()})
    found = qcompiler.compile(proto, calibration=frames(), t_max=64).run(frames())
    error = np.asarray(found) - expected
    assert np.sqrt(np.mean(error**2)) < 0.1 * expected.std()
    assert np.abs(np.asarray(found)[::8]).max() < 0.05
