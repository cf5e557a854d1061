"""What users give in place of graphs and their parts gets a sentence; arrays must fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qcompiler.ir import (
    Builder,
    DataError,
    InvalidGraph,
    Tensor,
    drop_dead,
    evaluate,
    parse,
    rewrite,
    show,
    substitute,
    to_networkx,
    verify,
)
from qcompiler.ir.ann import Add, Dense, Function
from qcompiler.passes import Pipeline

Array = np.ndarray[Any, Any]
BUILDER = Builder("sum")
X = BUILDER.input("x", Tensor((1, 4, 4)))
Y = BUILDER.add(Add(), X, X, name="y")
GRAPH = BUILDER.build([Y], ["y"])
FRAMES = np.full((2, 1, 4, 4), 200, np.uint8)


class Holder:
    """Holds a graph, as a program does."""

    graph = GRAPH


NONE: Any = None
LIST: Any = []
READERS: dict[str, Callable[[Any], Any]] = {
    "show": show,
    "verify": verify,
    "evaluate": lambda graph: evaluate(graph, FRAMES),
    "drop_dead": drop_dead,
    "rewrite": rewrite,
    "substitute": lambda graph: substitute(graph, {}),
    "to_networkx": to_networkx,
    "run": Pipeline.parse("fold-linear").run,
}


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_graph(reader: str) -> None:
    with pytest.raises(InvalidGraph, match="expected a Graph, not Holder") as caught:
        READERS[reader](Holder())
    assert "of a program, give program.graph" in str(caught.value)
    with pytest.raises(InvalidGraph, match=r"expected a Graph, not str$"):
        READERS[reader]("net.onnx")


WRONG: dict[str, Callable[[Any], Any]] = {
    "expected an operation, such as Add(), not str": lambda b: b.add("add", X, X, name="z"),
    "expected an operation, such as Add(), not the class Add": lambda b: b.add(Add, X, name="z"),
    "ann.dense reads values and constants, not ndarray": lambda b: b.add(
        Dense(), X, np.ones((2, 16)), name="z"
    ),
    "takes a postfix formula as text, not None": lambda b: b.add(Function(NONE), X, name="z"),
    "outputs are a sequence of Value, not Value": lambda b: b.build(Y),
    "names of outputs are a sequence of str, not 'y'": lambda b: b.build([Y], "y"),
    'the type of "z" is tuple': lambda b: b.input("z", (3,)),
    "a graph is read from text, not None": lambda b: parse(NONE, {}),
    "a graph is read from constants by name, not []": lambda b: parse("", LIST),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_is_no_part_of_a_graph(sentence: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        WRONG[sentence](Builder())
    assert sentence in str(caught.value)


def test_numbers_are_those_of_the_input() -> None:
    (found,) = evaluate(GRAPH, FRAMES)
    assert found.dtype == np.float32 and found.max() == 400
    (found,) = evaluate(GRAPH, FRAMES.astype(np.float64))
    assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((), "give one array for each input, x (0 given)"),
        ((FRAMES, FRAMES), "(2 given)"),
        ((np.ones((2, 7)),), 'input "x" takes N x (1, 4, 4), not an array (2, 7)'),
        ((FRAMES[0],), "not an array (1, 4, 4)"),
        ((None,), 'the array for input "x" has dtype object, no numbers'),
    ],
)
def test_arrays_that_do_not_fit(given: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(GRAPH, *given)
    assert sentence in str(caught.value)


def test_shapes_may_hold_ints_of_numpy() -> None:
    shape: Any = np.int64(3), 2
    assert all(type(n) is int for n in Tensor(shape).shape)
    with pytest.raises(ValueError, match="a shape is a tuple of ints"):
        Tensor((3.0,))  # type: ignore[arg-type]
