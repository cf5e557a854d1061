"""Softmax as exporters without an operator for it write it: one node for the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import drop_dead
from qcompiler.ir.ann import Multiply, Softmax
from tests.support.onnx_models import agrees, ints, model

ROW, ROWS = "float[N,6] x", "float[N,4,5] x"
TOP = "m = ReduceMax<axes=[-1]>(x) d = Sub(x, m)"
SUM = "e = Exp(d) s = ReduceSum(e, last)"
SHARES = f"{TOP} {SUM} y = Div(e, s)"
FLAX = (  # as JAX has it: the reduced axis comes back by broadcasting
    "m0 = ReduceMax<axes=[1], keepdims=0>(x) m1 = Max(low, m0) m2 = Reshape(m0, column)"
    " d = Sub(x, m2) e = Exp(d) s0 = ReduceSum<keepdims=0>(e, last) s1 = Unsqueeze(s0, last)"
    " y = Div(e, s1)"
)
LAST: dict[str, Any] = {"last": ints(-1)}

FOUND: dict[str, tuple[str, str, dict[str, Any], bool]] = {
    "shares": (ROW, SHARES, {}, False),
    "by broadcasting": (
        ROW,
        FLAX,
        {"low": np.float32(-1e30), "column": ints(0, 1)},
        False,
    ),
    "without a maximum": (ROW, "e = Exp(x) s = ReduceSum(e, last) y = Div(e, s)", {}, False),
    "reciprocal": (ROW, f"{TOP} {SUM} r = Reciprocal(s) y = Mul(r, e)", {}, False),
    "logarithm": (ROW, f"{TOP} {SUM} l = Log(s) y = Sub(d, l)", {}, True),
    "of rows": (ROWS, SHARES, {}, False),
    "of columns": (
        ROWS,
        "m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, first) y = Div(e, s)",
        {"first": ints(1)},
        False,
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_parts_are_one_node(name: str) -> None:
    inputs, body, weights, log = FOUND[name]
    used = {**LAST, **weights} if "last" in body else weights
    graph = drop_dead(agrees(model(inputs, body, **used)).graph)
    (node,) = graph.nodes
    assert isinstance(node.op, Softmax) and node.op.log is log
    assert node.operands == graph.inputs


def test_shares_inside_need_no_products() -> None:
    """As of attention: only what weighs the values is a product."""
    body = f"{SHARES} z = MatMul(y, w)"
    graph = drop_dead(agrees(model(ROWS, body, outputs="z", w=(5, 3), **LAST)).graph)
    assert not any(isinstance(node.op, Multiply | Softmax) for node in graph.nodes)


def test_masked_shares() -> None:
    body = "b = Add(x, mask) " + SHARES.replace("(x", "(b")
    mask = np.array([0, -1e9, 0, 0, -1e9], np.float32)
    graph = agrees(model(ROWS, body, mask=mask, **LAST)).graph
    assert not any(isinstance(node.op, Multiply) for node in drop_dead(graph).nodes)


@pytest.mark.parametrize(
    "body",
    [
        f"{TOP} {SUM} y = Div(s, e)",
        f"{TOP} e = Exp(d) s = ReduceMean<axes=[-1]>(e) y = Div(e, s)",
        f"{TOP} e = Exp(d) f = Mul(e, two) s = ReduceSum(f, last) y = Div(e, s)",
        f"{TOP} {SUM} l = Log(s) y = Sub(x, l)",
        f"{TOP} e = Exp(d) s = ReduceSum(e, all) y = Div(e, s)",
    ],
)
def test_others_stay_as_they_are(body: str) -> None:
    given = {"two": np.float32(2), "all": ints(1, 2), **LAST}
    used = {name: array for name, array in given.items() if f", {name})" in body}
    graph = import_model(model(ROWS, body, **used), allow_products=True).graph
    assert not any(isinstance(node.op, Softmax) for node in graph.nodes)


def test_compiled_shares_cost_what_a_softmax_does() -> None:
    head = "a = Gemm(v, w0, b0) r = Relu(a) x = MatMul(r, w1)"
    weights: dict[str, Any] = {"w0": (6, 8), "b0": (8,), "w1": (8, 5)}
    x = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)
    found = [
        qcompiler.compile(model("float[N,6] v", f"{head} {end}", **weights, **more), calibration=x)
        for end, more in ((SHARES, LAST), ("y = Softmax(x)", {}))
    ]
    assert len({program.report().neurons for program in found}) == 1
