"""Graphs whose parts are not what their types say are refused with one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, Graph, InvalidGraph, Tensor, Value, verify
from qcompiler.ir.ann import Clip, Conv, Dense

RELU = Clip(0.0)


def tiny(clip: Clip = RELU) -> Graph:
    build = Builder("tiny")
    x = build.input("x", Tensor((3,)))
    weight, bias = Constant("w", np.eye(3, dtype=np.float32)), np.zeros(3, np.float32)
    dense = build.add(Dense(), x, weight, Constant("b", bias), name="d", origin=["Gemm_0"])
    value = build.add(clip, dense, name="y", origin=["Relu_0"])
    return build.build([value], ["scores"])


def changed(graph: Graph, **changes: Any) -> Graph:
    return replace(graph, **changes)


def value(name: Any, type_: Any) -> Value:
    return Value(name, type_)


def first(graph: Graph, **changes: Any) -> Graph:
    return replace(graph, nodes=(replace(graph.nodes[0], **changes), *graph.nodes[1:]))


def weighted(graph: Graph, weight: Any) -> Graph:
    x, _, bias = graph.nodes[0].operands
    return first(graph, operands=(x, Constant("w", weight), bias))


STRIDES: Any = [1]
X = Value("x", Tensor((3,)))
FAULTS: dict[str, Callable[[Graph], Graph]] = {
    "2 inputs are named %x": lambda g: changed(g, inputs=g.inputs * 2),
    "2 outputs are named scores": lambda g: changed(
        g, outputs=g.outputs * 2, output_names=g.output_names * 2
    ),
    "the nodes of the graph are a list, not a tuple": lambda g: changed(g, nodes=[*g.nodes]),
    "a node of the graph is a NoneType, not a Node": lambda g: changed(g, nodes=(*g.nodes, None)),
    "%d has a list as its operands, not a tuple": lambda g: first(g, operands=[X]),
    "%d has a str as its origin, not a tuple": lambda g: first(g, origin="Gemm_0"),
    "the origin of %d holds int, not str": lambda g: first(g, origin=(3,)),
    "the result of %d is str, not Value": lambda g: first(g, result="d"),
    "the operation of %d is NoneType, not Op": lambda g: first(g, op=None),
    "%d reads str, not Value or Constant": lambda g: first(g, operands=(X, "w")),
    "the inputs of the graph hold str, not Value": lambda g: changed(g, inputs=("x",)),
    "the name of the graph is NoneType, not str": lambda g: changed(g, name=None),
    "the names of the outputs hold int, not str": lambda g: changed(g, output_names=(3,)),
    "the name of a value or constant is int, not str": lambda g: first(g, result=value(3, X.type)),
    "the type of %d is NoneType, not Type": lambda g: first(g, result=value("d", None)),
    "the name 'd\\udc80' has half of a surrogate": lambda g: first(
        g, result=Value("d\udc80", X.type)
    ),
    "the name 'x\\x00' has a NUL": lambda g: changed(g, inputs=(*g.inputs, Value("x\0", X.type))),
    "#w is an array of >f4, which": lambda g: weighted(g, np.eye(3, dtype=">f4")),
    "#w is an array of <U1, which": lambda g: weighted(g, np.array([["a"]])),
    "#w holds NaN": lambda g: weighted(g, np.full((3, 3), np.nan, np.float32)),
    "ann.conv: strides cannot be [1]": lambda g: first(g, op=Conv(strides=STRIDES)),
}


@pytest.mark.parametrize("message", FAULTS)
def test_what_is_no_graph_is_refused(message: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        verify(FAULTS[message](tiny()))
    assert caught.value.diagnostics[0].message.startswith(message)


@pytest.mark.parametrize("low", [float("nan"), float("inf"), 1e40, "a", True, (0.0,)])
def test_what_no_file_holds_is_no_bound(low: Any) -> None:
    with pytest.raises(InvalidGraph, match=r"ann\.clip: low cannot be") as caught:
        verify(tiny(Clip(low=low)))
    assert caught.value.diagnostics[0].nodes == ("Relu_0",)


@pytest.mark.parametrize("low", [0, -0.5, None, np.float32(0.25)])
def test_numbers_are_bounds(low: Any) -> None:
    verify(tiny(Clip(low=low)))
