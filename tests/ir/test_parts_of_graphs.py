"""Parts of graphs that a user's pass makes: they mean one thing everywhere, or are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import (
    Builder,
    Constant,
    Graph,
    InvalidGraph,
    Node,
    Op,
    PipelineError,
    Spikes,
    Tensor,
    Type,
    Value,
    evaluate,
    rewrite,
    verify,
)
from qcompiler.ir.ann import Clip, Conv, Dense, Function
from qcompiler.ir.kernels import Array

RNG = np.random.default_rng(0)


def chain(op: Op, *constants: Array, shape: tuple[int, ...] = (4,)) -> Graph:
    build = Builder("chain")
    x = build.input("x", Tensor(shape))
    held = (Constant(f"c{at}", array) for at, array in enumerate(constants))
    return build.build([build.add(op, x, *held, name="y", origin=["node"])])


@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 1, 1), (1,), (), (5,), (5, 1), (8, 5, 5)])
def test_biases_of_convolutions_broadcast_over_the_output(shape: tuple[int, ...]) -> None:
    build = Builder("biases")
    x = build.input("x", Tensor((2, 5, 5)))
    weight, bias = RNG.normal(size=(8, 2, 3, 3)), 3 + RNG.random(shape)
    held = [
        Constant(name, np.asarray(array, np.float32))
        for name, array in (("w", weight), ("b", bias))
    ]
    made = build.add(Conv((1, 1), (1, 1, 1, 1), (1, 1)), x, *held, name="c")
    graph = build.build([build.add(Clip(0.0), made, name="y")])
    batch = RNG.random((40, 2, 5, 5), np.float32)
    (real,) = evaluate(graph, batch)
    program = qcompiler.compile(graph, target="reference", calibration=batch, t_max=64)
    assert np.abs(program.run(batch) - real).max() < 0.1 * np.ptp(real)


def test_constants_cannot_be_changed() -> None:
    constant = Constant("w", np.ones(3, np.float32))
    change: Any = constant
    for name in ("data", "name"):
        with pytest.raises(AttributeError, match="a Constant is read-only: make a new one"):
            setattr(change, name, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="WRITEABLE"):
        constant.data.flags.writeable = True


WRONG_TYPES: dict[str, Callable[[], Type]] = {
    "invalid range from 1.0 to 0.0": lambda: Tensor((2,), range=(1.0, 0.0)),
    "invalid range from 0.0 to nan": lambda: Tensor((2,), range=(0.0, np.nan)),
    "invalid range from 0.0 to inf": lambda: Tensor((2,), range=(0.0, np.inf)),
    "a range is a tuple of two numbers": lambda: Tensor((2,), range=("0", "5")),  # type: ignore
    "not [0.0, 5.0]": lambda: Tensor((2,), range=[0.0, 5.0]),  # type: ignore[arg-type]
    "not (5.0,)": lambda: Tensor((2,), range=(5.0,)),  # type: ignore[arg-type]
    "t_max must be an int, not 4.5": lambda: Tensor((2,), t_max=4.5),  # type: ignore[arg-type]
    "t_max must be an int, not 8.0": lambda: Spikes((2,), 8.0, 1.0),  # type: ignore[arg-type]
    "digits must be an int, not 1.5": lambda: Tensor((2,), digits=1.5),  # type: ignore[arg-type]
    "a shape is a tuple of ints": lambda: Tensor((np.float64(2),)),  # type: ignore[arg-type]
    "not (-1,)": lambda: Tensor((-1,)),
    "not [2]": lambda: Tensor([2]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("text", WRONG_TYPES)
def test_types_that_no_text_could_hold(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        WRONG_TYPES[text]()


def test_attributes_of_numpy_become_those_of_python() -> None:
    op = Conv(tuple(np.array([1, 2])), tuple(np.zeros(4, int)), (1, 1), np.int64(2))  # type: ignore
    assert [type(one) for one in (*op.strides, *op.pads, op.groups)] == [int] * 7
    assert op == Conv((1, 2), (0, 0, 0, 0), (1, 1), 2)


@dataclass(frozen=True)
class Nameless(Op):
    """Has no mnemonic."""

    def infer(self, *operands: Type) -> Type:
        return operands[0]


REFUSED: dict[str, Op] = {
    "takes a formula that computes something of x, not 'x'": Function(),
    "takes a formula that computes something of x, not '1'": Function("1"),
    "takes a formula that computes something of x, not '1 tanh'": Function("1 tanh"),
    "low must not be above high, 1.0, but is 2.0": Clip(2.0, 1.0),
    "the operation Nameless of %y has no mnemonic": Nameless(),
}


@pytest.mark.parametrize("text", REFUSED)
def test_operations_that_mean_nothing(text: str) -> None:
    x, y = (Value(name, Tensor((4,))) for name in "xy")
    graph = Graph("one", (x,), (Node(REFUSED[text], (x,), y, ("node",)),), (y,))
    with pytest.raises(InvalidGraph) as caught:
        verify(graph)
    assert text in str(caught.value) and '"node"' in str(caught.value)


def test_values_without_elements() -> None:
    with pytest.raises(InvalidGraph, match="%y has no elements"):
        verify(chain(Dense(), np.zeros((0, 4), np.float32), np.zeros(0, np.float32)))
    with pytest.raises(InvalidGraph, match="%x has no elements"):
        verify(chain(Clip(0.0), shape=(0,)))


def test_one_gain_for_all_channels() -> None:
    graph = chain(Function("x tanh"), np.array(2, np.float32))
    batch = RNG.normal(size=(60, 4)).astype(np.float32)
    program = qcompiler.compile(graph, target="reference", calibration=batch, t_max=64)
    assert np.abs(program.run(batch) - 2 * np.tanh(batch)).max() < 0.2


def test_rules_that_never_end_or_return_something_else() -> None:
    def returns(found: Any) -> Callable[[Node, Graph], Any]:
        return lambda node, graph: found

    graph = chain(Clip(0.0))
    with pytest.raises(PipelineError, match=r'a rule never ends.*%y\n  --> node "node"'):
        rewrite(graph, lambda node, _: (replace(node, op=Clip(float(node.op.low or 0) + 1)),))  # type: ignore
    with pytest.raises(TypeError, match="returns a tuple of nodes, a Value or None, not True"):
        rewrite(graph, returns(True))
    with pytest.raises(TypeError, match="not Node"):
        rewrite(graph, returns(graph.nodes[0]))
    with pytest.raises(ValueError, match="replaces %y, but its last node makes nothing"):
        rewrite(graph, returns(()))
    other = replace(graph.nodes[0], result=Value("z", Tensor((4,))))
    with pytest.raises(ValueError, match="replaces %y, but its last node makes %z"):
        rewrite(graph, returns((other,)))
