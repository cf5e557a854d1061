"""Parts of a value that hold no elements: constants, as functions of ONNX make them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel
from tests.support.onnx_models import agrees, agrees_in_place, ints, model

FLAT = "float[N,6] x"
PARTS = "a, b, c = Split<axis=1>(x, s)"
BODIES = {
    "unused": f"{PARTS} y = Concat<axis=1>(c, b)",
    "joined": f"{PARTS} y = Concat<axis=1>(a, c, b)",
    "behind functions": f"{PARTS} r = Relu(a) t = Tanh(r) y = Concat<axis=1>(c, t, b)",
    "summed": f"{PARTS} t = ReduceSum(a, one) u = Concat<axis=1>(c, b) y = Add(u, t)",
    "multiplied": f"{PARTS} m = MatMul(a, w) u = Concat<axis=1>(c, b) y = Add(u, m)",
    "sliced": "a = Slice(x, three, three, one) y = Concat<axis=1>(a, x)",
}


def proto(body: str, outputs: str = "y") -> onnx.ModelProto:
    """A model with the constants that its nodes read."""
    weights: dict[str, Any] = {
        "s": ints(0, 4, 2),
        "one": ints(1),
        "three": ints(3),
        "w": np.zeros((0, 6), np.float32),
    }
    return model(FLAT, body, outputs=outputs, **weights)


@pytest.mark.parametrize("name", BODIES)
def test_parts_without_elements(name: str) -> None:
    agrees(proto(BODIES[name]))


def test_a_split_whose_lengths_are_an_attribute() -> None:
    agrees(model(FLAT, "a, b = Split<axis=1, split=[6,0]>(x) y = Concat<axis=1>(b, a)", 11))


def test_parts_of_a_sequence() -> None:
    body = "t = Transpose<perm=[1,0,2]>(x) a, b, c = Split(t, s) y = Concat<axis=0>(a, c, b)"
    agrees_in_place(model("float[N,6,2] x", body, s=ints(0, 4, 2)))


def test_parts_of_integers() -> None:
    body = "a, b = Split<axis=1>(x, s) c = Concat<axis=1>(b, a) y = Cast<to=1>(c)"
    graph = import_model(model("uint8[N,6] x", body, s=ints(0, 6))).graph
    assert graph.outputs[0].type.shape == (6,)


def test_a_program_of_what_is_left() -> None:
    program = qcompiler.compile(proto(BODIES["joined"]), target="reference", t_max=8)
    assert np.shape(program.run(np.zeros((1, 6), np.float32))) == (1, 6)


@pytest.mark.parametrize("body", [f"{PARTS} y = Relu(a)", f"{PARTS} z = Relu(b) y = Neg(a)"])
def test_an_output_without_elements(body: str) -> None:
    with pytest.raises(UnsupportedModel, match=r'the output "y" is empty\n.*leave it out'):
        import_model(proto(body, outputs="y z" if "z =" in body else "y"))


def test_an_axis_is_sliced_once() -> None:
    weights: dict[str, Any] = {"b": ints(2, 0), "e": ints(5, 3), "a": ints(1, -1)}
    with pytest.raises(qcompiler.CompileError, match=r'"y_node": Slice slices an axis twice'):
        import_model(model(FLAT, "y = Slice(x, b, e, a)", **weights))
