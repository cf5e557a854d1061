"""States: what models have as such, their initial values, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.program.stream import run_stream
from qcompiler.explain.measure.onnx_reference import run_sequences
from qcompiler.ir import DataError, PipelineError, ProgramError
from qcompiler.streaming.sequences import read_sequences
from tests.support.cells import compiled, sequences
from tests.support.onnx_models import ints, model

pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")


def test_steps_of_one_sequence_and_of_several() -> None:
    program = compiled("elman")
    x = sequences(2, 3, seed=6)
    both, alone = program.stream(), program.stream()
    for at in range(3):
        y, single = both.step(x[:, at]), alone.step({"x": x[0, at]})
        assert isinstance(y, np.ndarray) and isinstance(single, np.ndarray)
        assert y.shape == (2, 3) and single.shape == (3,)
        np.testing.assert_array_equal(y[0], single)
    with pytest.raises(DataError, match="reset the stream"):
        both.step(x[:1, 0])
    width = r'input "x" takes a frame of shape \(4,\), or sequences x \(4,\), not '
    for wrong in (np.zeros(3), np.zeros((2, 3)), 5.0):
        with pytest.raises(DataError, match=width):
            alone.step(wrong)
    with pytest.raises(DataError, match="the data are empty"):
        alone.step(np.zeros((0, 4)))
    with pytest.raises(DataError, match="parts of unlike shapes"):
        alone.step([[1, 2], [3]])
    both.reset()
    both.step(x[:1, 0])
    with pytest.raises(DataError, match="each input, x, or"):
        both.step(x[:, 0], x[:, 0])
    masked: Any = np.ma.array
    with pytest.raises(DataError, match="values are masked"):
        both.step(masked(x[:1, 0], mask=x[:1, 0] < x.mean()))
    with pytest.raises(DataError, match="no input is named h_in: the inputs are x"):
        both.step({"x": x[:, 0], "h_in": x[:, 0]})
    with pytest.raises(DataError, match="the data hold no array for the input x"):
        both.step({})


def test_lengths_that_differ_are_those_of_the_inputs() -> None:
    body = "s = Add(x, z) h_out = Add(h_in, s)"
    proto = model("float[N,4] x, float[N,4] z, float[N,4] h_in", body, outputs="h_out")
    x = 0.01 * sequences(2, 20)
    stream = qcompiler.compile(
        proto, target="reference", calibration=(x, x), states="auto", effort=0
    ).stream()
    with pytest.raises(DataError, match=r"number of frames: 2 for x, 1 for z$"):
        stream.step(x[:, 0], x[:1, 0])


def test_initial_state() -> None:
    program = compiled("elman", states=["h_out:h_in=0.5"])
    stream = program.stream()
    given = np.full((1, 8), 0.5, np.float32)
    x = sequences(1, 1, seed=7)[:, 0]
    y, _ = program.run(x, given)
    np.testing.assert_array_equal(stream.step(x), y)


@pytest.mark.parametrize("t_max", [8, 16])
def test_a_state_far_wider_than_its_levels(t_max: int) -> None:
    """Its input keeps the range of its output, and does not take one of its own.

    Half of 64 levels of x and of the state are lost in a frame, and half of that in the next.
    """
    weights = np.eye(4, dtype=np.float32)
    body = "u = MatMul(x, w) s = Mul(h_in, a) h_out = Add(s, u)"
    inputs = "float[N,4] x, float[N,4] h_in"
    proto = model(inputs, body, outputs="h_out", w=weights, a=np.full(1, 0.5, np.float32))
    x = 1000 * sequences(8, 30)
    program = qcompiler.compile(
        proto, target="reference", calibration={"x": x}, states="auto", t_max=t_max, effort=0
    )
    stream, found, wanted = program.stream(), [], [np.zeros((8, 4))]
    for at in range(30):
        wanted.append(0.5 * wanted[-1] + x[:, at])
        found.append(stream.step(x[:, at]))
    level = 1.25 / 63 * (np.ptp(wanted) + np.ptp(x))
    assert np.abs(np.array(found) - wanted[1:]).max() < level


@pytest.mark.parametrize(("target", "file"), [("nir", "network.nir"), ("brian2", "network.py")])
def test_targets_of_other_simulators(target: str, file: str, tmp_path: Path) -> None:
    """Their files hold one frame; the program streams as that of the reference."""
    if target == "nir":
        pytest.importorskip("nir")
    compiled("elman", target=target).save(tmp_path / "program")
    assert (tmp_path / "program" / file).exists()
    ours, theirs = qcompiler.load(tmp_path / "program").stream(), compiled("elman").stream()
    for frame in sequences(1, 3, seed=8)[0]:
        np.testing.assert_array_equal(ours.step(frame), theirs.step(frame))


STATES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "held": ("float[1,N,4] h_in", "h_out = Identity(h_in) y = Relu(x)", {}),
    "bounded": (
        "float[N,4] h_in",
        "s = Add(x, h_in) h_out = Clip(s, low, high) y = Neg(s)",
        {"low": np.float32(0), "high": np.float32(1.3)},
    ),
    "average": (
        "float[N,4] h_in",
        "a = Mul(h_in, k) b = Mul(x, l) h_out = Add(a, b) y = Neg(a)",
        {"k": np.float32(0.9), "l": np.float32(0.1)},
    ),
    "operator": (
        "float[1,N,8] h_in",
        "r = Unsqueeze(x, zero) y, h_out = GRU<hidden_size=8>(r, W, R, , , h_in)",
        {"zero": ints(0), "W": (1, 24, 4), "R": (1, 24, 8)},
    ),
    "softmax first": ("float[N,4] h_in", "p = Softmax(h_in) h_out = Add(x, p) y = Relu(p)", {}),
}


@pytest.mark.parametrize("name", STATES)
def test_states_as_models_have_them(name: str, tmp_path: Path) -> None:
    state, body, weights = STATES[name]
    proto = model(f"float[N,4] x, {state}", body, outputs="y h_out", **weights)
    onnx.save(proto, tmp_path / "step.onnx")
    program = qcompiler.compile(
        tmp_path / "step.onnx",
        target="reference",
        calibration=sequences(8, 30),
        states="auto",
        t_max=64,
    )
    given = read_sequences(sequences(8, 30, seed=1), program.graph, program.states)
    found = run_stream(program, given.arrays, count=False).outputs["h_out"].reshape(-1)
    whole = given.with_states(program.graph, program.states)
    outputs = run_sequences(tmp_path / "step.onnx", whole, program.states, program.manifest)
    wanted = outputs["h_out"].reshape(-1)
    assert np.sqrt(np.square(found - wanted).mean()) <= 0.1 * wanted.std()


def test_damaged_states(tmp_path: Path) -> None:
    compiled("elman").save(tmp_path / "program")
    path = tmp_path / "program" / "manifest.json"
    whole = json.loads(path.read_text())
    for states in (3, [3], [{"output": "h_out"}], [{"output": 1, "input": 2, "initial": 0}]):
        path.write_text(json.dumps(whole | {"states": states}))
        with pytest.raises(ProgramError, match="states are damaged"):
            qcompiler.load(tmp_path / "program").stream()
    for ends in (("z", "h_in"), ("y", "h_in")):
        state = {"output": ends[0], "input": ends[1], "initial": 0}
        path.write_text(json.dumps(whole | {"states": [state]}))
        with pytest.raises(ProgramError):
            qcompiler.load(tmp_path / "program").stream()


REFUSED = {
    "h_out:z": "the model has no input z",
    "z:h_in": "the model has no output z",
    "y:h_in": "both ends must have one shape",
    "h_out": "expected OUT:IN",
    "h_out:h_in=nan": "expected OUT:IN",
}


@pytest.mark.parametrize("state", REFUSED)
def test_refused(state: str) -> None:
    with pytest.raises(PipelineError, match=REFUSED[state]):
        compiled("elman", states=[state])


def test_needs() -> None:
    with pytest.raises(PipelineError, match="sequences of frames: give calibration"):
        compiled("elman", calibration=None)
    with pytest.raises(PipelineError, match="give t_max"):
        compiled("elman", max_drift=1)
    with pytest.raises(PipelineError, match="an end of two states"):
        compiled("elman", states=["h_out:h_in", "h_out:h_in"])
    body = "h_out = Add(h_in, x)"
    proto = model("float[N,4] x, float[N,4] h_in", body, outputs="h_out")
    grown = 1e37 * np.ones((1, 50, 4), np.float32)
    with pytest.raises(DataError, match="NaN or infinite after"):
        qcompiler.compile(proto, target="reference", calibration=grown, states="auto")
    x = sequences(1, 9)[0]
    plain = qcompiler.compile(proto, target="reference", calibration=(x, x))
    with pytest.raises(ProgramError, match="no states"):
        plain.stream()


@pytest.mark.parametrize(
    ("initial", "reason"),
    [
        ("1e9", "less than a level of a code that holds 1e"),
        ("1e300", "the initial value is too large: at most 1e\\+30"),
        ("true", "expected OUT:IN"),
    ],
)
def test_initial_values_out_of_proportion(initial: str, reason: str) -> None:
    with pytest.raises(PipelineError, match=reason):
        compiled("elman", states=[f"h_out:h_in={initial}"])


@pytest.mark.parametrize("given", [True, 3, [True], ["h_out:h_in", 2]])
def test_states_that_are_no_text(given: Any) -> None:
    with pytest.raises(PipelineError, match="states, such as 'h_out:h_in', must be strings, not"):
        compiled("elman", states=given)


def test_damaged_initial_values(tmp_path: Path) -> None:
    compiled("elman").save(tmp_path / "program")
    path = tmp_path / "program" / "manifest.json"
    whole = json.loads(path.read_text())
    for initial in (1e9, 1e300, 10**400, True, "0"):
        whole["states"][0]["initial"] = initial
        path.write_text(json.dumps(whole))
        with pytest.raises(ProgramError, match=r"damaged|begins beyond"):
            qcompiler.load(tmp_path / "program").stream()


def test_states_that_are_not_named_are_proposed() -> None:
    body = "h_out = Add(x, h_in) c_out = Mul(c_in, w)"
    inputs = "float[N,4] x, float[N,4] h_in, float[N,4] c_in"
    proto = model(inputs, body, outputs="h_out c_out", w=np.float32(0.5))
    for states, named in ((None, ["h_out:h_in", "c_out:c_in"]), ("h_out:h_in", ["c_out:c_in"])):
        with pytest.raises(DataError, match="c_in") as caught:
            qcompiler.compile(proto, calibration={"x": sequences(2, 3)[0]}, states=states)
        help_ = caught.value.diagnostics[0].help or ""
        assert re.findall(r'states="(\S+)"', help_) == named
