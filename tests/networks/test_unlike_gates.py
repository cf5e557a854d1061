"""Gated cells whose elements differ in size: products pass the scales of a state's elements on."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import Program
from qcompiler.backends.program.states import carried_states
from qcompiler.backends.program.stream import run_stream
from tests.support.cells import run_recurrently, sequences
from tests.support.onnx_models import model

Array = np.ndarray[Any, Any]
SIZES = np.array([0.02, 0.2, 2], np.float32)
GATES = "xz = MatMul(x, W) hz = MatMul(h_in, U) az = Add(xz, hz) z = Sigmoid(az) xn = MatMul(x, V) "
ENDS = {
    "to the candidate": "d = Sub(n, h_in) p = Mul(z, d) h_out = Add(h_in, p)",
    "from the candidate": "d = Sub(h_in, n) p = Mul(d, z) h_out = Add(n, p)",
    "of both": "o = Sub(one, z) p = Mul(o, h_in) q = Mul(z, n) h_out = Add(p, q)",
    "read by a product": "d = Sub(n, h_in) p = Mul(z, d) h_out = Add(h_in, p) w = Mul(z, h_out)",
}
pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")


def gated(end: str, candidate: str = "t = Tanh(xn) n = Mul(t, s)") -> onnx.ModelProto:
    """A minimal gated unit whose candidate has elements of unlike sizes."""
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {name: rng.normal(size=(4, 3)) / 2 for name in "WV"}
    given |= {"U": rng.normal(size=(3, 3)) / SIZES[:, None] / 4, "s": SIZES}
    given |= {"v": rng.normal(size=(3, 3)) / SIZES[:, None], "one": 1.0}
    read = "w" if end == "read by a product" else "h_out"
    body = f"{GATES} {candidate} {ENDS[end]} y = MatMul({read}, v)"
    used = set(re.findall(r"\w+", body))
    known: dict[str, Any] = {
        name: np.asarray(a, np.float32) for name, a in given.items() if name in used
    }
    return model("float[N,4] x, float[N,3] h_in", body, outputs="y h_out", **known)


def compiled(proto: onnx.ModelProto, target: str = "reference") -> Program:
    x = sequences(8, 60)
    given: dict[str, Any] = {"calibration": x, "states": "auto", "allow_products": True}
    return qcompiler.compile(proto, target=target, effort=0, **given)


def worst(proto: onnx.ModelProto, program: Program) -> float:
    """The largest error of an element of the state, as a share of its spread."""
    x = sequences(4, 60, seed=1)
    wanted = run_recurrently(proto, x)["h_out"].reshape(-1, 3)
    found = run_stream(program, (x,), count=False).outputs["h_out"].reshape(-1, 3)
    return float((np.sqrt(np.square(found - wanted).mean(axis=0)) / wanted.std(axis=0)).max())


@pytest.mark.parametrize("end", ENDS)
def test_elements_have_scales_of_their_own(end: str) -> None:
    """One scale for all errs by 1: the smallest element reaches half a level."""
    proto = gated(end)
    program = compiled(proto)
    assert worst(proto, program) < 0.2
    (state,) = carried_states(program.graph, program.states)
    assert state.rescaling is not None


def test_a_product_of_alike_factors_has_a_gain() -> None:
    """Both are gates; the sizes come behind their product."""
    proto = gated("to the candidate", "t = Tanh(xn) m = Mul(z, t) n = Mul(m, s)")
    assert worst(proto, compiled(proto)) < 0.2


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_engines_agree(target: str) -> None:
    program, x = compiled(gated("of both"), target), sequences(2, 5, seed=2)
    one, other = (run_stream(program, (x,), name, count=False) for name in ("fast", "steps"))
    for name, array in one.outputs.items():
        np.testing.assert_array_equal(array, other.outputs[name])
