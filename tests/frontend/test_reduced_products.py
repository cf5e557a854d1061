"""ReduceProd of few elements is products of two, and powers are functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import evaluate
from qcompiler.ir.ann import Function, Multiply
from tests.support.onnx_models import ints, model, run_onnx

CASES: dict[str, tuple[str, tuple[int, ...], int]] = {  # body, shape of a sample, products
    "three": ("y = ReduceProd<axes=[1]>(x)", (3,), 2),
    "without the axis": ("y = ReduceProd<axes=[1], keepdims=0>(x)", (2, 3), 1),
    "two axes": ("y = ReduceProd<axes=[1, 2]>(x)", (2, 2), 3),
    "one element": ("y = ReduceProd<axes=[-1], keepdims=0>(x)", (2, 1), 0),
    "a power": ("g = Gather<axis=1>(x, i) y = ReduceProd<axes=[1]>(g)", (3,), 1),
}


def network(name: str) -> tuple[Any, Any]:
    body, shape, _ = CASES[name]
    weights: dict[str, Any] = {"i": ints(2, 0, 2)} if "Gather" in body else {}
    proto = model(f"float[N,{','.join(map(str, shape))}] x", body, 13, **weights)
    return proto, np.random.default_rng(0).uniform(-1, 2, (300, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_onnxruntime(name: str) -> None:
    proto, x = network(name)
    graph = import_model(proto, allow_products=True).graph
    np.testing.assert_allclose(evaluate(graph, x), run_onnx(proto, {"x": x}), rtol=1e-5, atol=1e-6)
    assert sum(isinstance(node.op, Multiply) for node in graph.nodes) == CASES[name][2]
    assert any(isinstance(node.op, Function) for node in graph.nodes) == (name == "a power")


def test_they_compile_without_an_option() -> None:
    proto, x = network("a power")
    program = qcompiler.compile(proto, target="reference", calibration=x, t_max=64)
    (wanted,) = run_onnx(proto, {"x": x})
    levels = 3  # each factor is off by at most a level of 64, as is the product
    assert np.abs(program.run(x) - wanted).max() < levels / 63 * np.ptp(wanted)


def test_many_elements_are_refused() -> None:
    (one,) = check_model(model("float[N,5] x", "y = ReduceProd<axes=[1]>(x)", 13))
    assert one.reason == "ReduceProd of 5 values, more than 4, is not supported"
    assert one.help == "compute it outside the network: on its inputs, or on the decoded outputs"
