"""Tensors may have names that the compiler gives to parts of others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.model.distinct_names import distinct_names, renamed
from tests.support.onnx_models import model

BODY = "a = MatMul(x, w) r = Tanh(a) b = MatMul(r, v) q = Relu(b) y = MatMul(q, u)"
SHAPES = {"w": (4, 4), "v": (4, 3), "u": (3, 2)}
X = (np.random.default_rng(0).standard_normal((60, 4)) * [1, 10, 1, 0.1]).astype(np.float32)


def network(names: Mapping[str, str]) -> onnx.ModelProto:
    found = model("float[N,4] x", BODY, w=SHAPES["w"], v=SHAPES["v"], u=SHAPES["u"])
    found.graph.CopyFrom(renamed(found.graph, dict(names)))
    return found


@pytest.mark.parametrize(
    "names",
    [
        {"q": "r:equal"},
        {"v": "r:1:scale", "w": "r:1:shift"},
        {"r": "y:0"},
        {"a": "x:spikes", "b": "x:spikes:1"},
    ],
)
def test_such_names_change_no_number(names: dict[str, str]) -> None:
    given = network(names)
    before = given.SerializeToString()
    plain, other = (
        qcompiler.compile(one, calibration=X, target="reference") for one in (network({}), given)
    )
    np.testing.assert_array_equal(other.run(X), plain.run(X))
    assert given.SerializeToString() == before


def test_ends_and_other_names_stay() -> None:
    graph = network({"x": "x:0", "y": "out:0", "q": "out", "r": "a:0:b", "b": "a:0"}).graph
    names = distinct_names(graph)
    assert names.keys() == {"out", "a:0", "a:0:b"}
    assert not {*names.values()} & {"x:0", "out:0", "a"}
    assert distinct_names(renamed(graph, names)) == {}


def test_names_in_a_row() -> None:
    nodes = [onnx.helper.make_node("Relu", ["x"], ["a" + ":" * n]) for n in range(2000)]
    graph = onnx.helper.make_graph(nodes, "long", [], [])
    assert len(set(distinct_names(graph).values())) == 1999
