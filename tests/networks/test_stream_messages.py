"""What is told of states: data without them, and states that leave their range."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import CompileWarning, Program
from qcompiler.backends.program.stream import run_stream
from qcompiler.comparison.errors.judge import TOLERATED
from qcompiler.comparison.errors.output_error import output_error
from qcompiler.ir import DataError
from tests.support.cells import cell, compiled, run_recurrently, sequences
from tests.support.onnx_models import model

RNG = np.random.default_rng(0)


def accumulator(frames: int = 20) -> Program:
    proto = model(
        "float[N,2] x, float[N,2] s_in", "s_out = Add(s_in, x) y = Relu(s_out)", outputs="y s_out"
    )
    x = RNG.uniform(0, 0.1, (16, frames, 2)).astype(np.float32)
    return qcompiler.compile(proto, target="reference", calibration=x, states="auto", effort=0)


@pytest.mark.parametrize(
    "run",
    [
        lambda program, x: program.run(x),
        lambda program, x: program.run({"x": x}),
        lambda program, x: program.spikes(x),
        lambda program, x: program.levels(x),
        lambda program, x: program.measure(x),
    ],
)
def test_data_without_states_are_for_a_stream(run: Callable[[Program, Any], Any]) -> None:
    with pytest.raises(DataError, match="the data hold no states, h_in") as caught:
        run(compiled("elman"), sequences(1, 9)[0])
    assert r"program.stream() carries them" in str(caught.value)


def test_calibration_without_states_proposes_them() -> None:
    with pytest.raises(DataError, match="one array for each input, x, h_in") as caught:
        compiled("elman", states=None)
    assert 'give states="h_out:h_in"' in str(caught.value)


def test_sequences_are_arrays() -> None:
    with pytest.raises(DataError, match=r"arrays, not one by one by a list_iterator") as caught:
        compiled("elman", calibration=iter([sequences(1, 9)]))
    assert "sequences x frames x shape" in str(caught.value)


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ({}, "no array for the input h_in"),
        ({"h_in": np.zeros((2, 8)), "s": np.zeros(2)}, "no input is named s"),
        ({"h_in": np.zeros((2, 4))}, "takes frames of shape"),
        ({"h_in": np.full((2, 8), np.nan)}, "contain NaN"),
    ],
)
def test_states_to_begin_from_are_checked(states: dict[str, Any], told: str) -> None:
    stream = compiled("elman").stream()
    stream.step(sequences(2, 1)[:, 0])
    before = stream.levels["h_in"]
    with pytest.raises(DataError, match=told):
        stream.begin(states)
    np.testing.assert_array_equal(stream.levels["h_in"], before)


def test_one_frame_of_one_sequence_is_measured() -> None:
    program, x = compiled("elman"), sequences(1, 2)[0]
    found = program.stream().measure(x[0]).outputs["y"]
    np.testing.assert_array_equal(found, program.stream().measure(x[:1]).outputs["y"])


def test_levels_are_copies() -> None:
    program, x = compiled("elman"), sequences(1, 2)[0]
    one, other = program.stream(), program.stream()
    for stream in (one, other):
        stream.step(x[0])
    one.levels["h_in"][:] = 0
    np.testing.assert_array_equal(one.step(x[1]), other.step(x[1]))


def test_a_state_that_outgrows_its_range_is_told_once() -> None:
    program = accumulator()
    x = RNG.uniform(0, 0.1, (2, 120, 2)).astype(np.float32)
    told: list[str] = []
    run_stream(program, (x,), count=False, tell=lambda finding: told.append(finding.text))
    assert len(told) == 1 and 'the state "s_in" outgrows its range, 0 to 1.' in told[0]
    assert "longer calibration sequences" in told[0]
    with pytest.warns(CompileWarning, match="outgrows its range"):
        run_stream(program, (x,), count=False)


@pytest.mark.parametrize("kind", ["elman", "gru", "ring"])
def test_states_within_their_ranges_are_not_told(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream = compiled(kind).stream()
        for frame in sequences(8, 100, seed=1).swapaxes(0, 1):
            stream.step(frame)


def test_what_feedback_makes_of_errors_is_told() -> None:
    """Single frames, which begin from the states of the model, err too little for a warning."""
    proto, x = cell("gru", 3), sequences(8, 60)
    given: dict[str, Any] = {"calibration": x, "states": "auto", "t_max": 8, "effort": 0}
    with pytest.warns(CompileWarning) as told:
        program = qcompiler.compile(proto, target="reference", **given)
    wanted = r'"y" is (\d+)% of its spread on 480 streamed calibration inputs, where states carry'
    (share,) = (found[1] for one in told if (found := re.search(wanted, str(one.message))))
    ours = run_stream(program, (x,), count=False).outputs["y"]
    error = output_error("y", ours, run_recurrently(proto, x)["y"].reshape(480, 3)).error
    assert int(share) == round(100 * (error or 0)) > 100 * TOLERATED
    assert 0 < program.manifest["calibration_check"]["outputs"]["y"]["error"] < TOLERATED


def streamed(decay: float, frames: int, t_max: int, target: str) -> list[str]:
    """What is told of a leaky sum, of which each sequence has one event."""
    body = "d = Mul(h_in, k) h_out = Add(d, x) y = Relu(h_out)"
    k = np.array(decay, np.float32)
    proto = model("float[N,2] x, float[N,2] h_in", body, outputs="y h_out", k=k)
    x = np.zeros((2, frames, 2), np.float32)
    x[:, 1] = np.random.default_rng(0).uniform(3, 5, (2, 2))
    given: dict[str, Any] = {"calibration": x, "states": "auto", "t_max": t_max, "effort": 0}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        qcompiler.compile(proto, target=target, **given)
    return [text for one in told if "streamed" in (text := str(one.message))]


def test_a_remedy_for_states_is_more_levels() -> None:
    """Up to a t_max of 256 states have 256 levels."""
    told = streamed(0.99, 300, 64, "reference")
    assert told and all("larger t_max: from 512 on, states have twice" in one for one in told)
    assert not streamed(0.99, 300, 512, "reference")


def test_a_remedy_for_states_is_fewer_frames() -> None:
    """Weights of 8 bits are too few for more levels; ten frames in one decay ten times as fast."""
    told = streamed(0.99, 300, 64, "loihi")
    assert told and all("export a step for every few frames" in one for one in told)
    assert not streamed(0.99**10, 30, 64, "loihi")


@pytest.mark.parametrize("lively", [4, 1])
def test_errors_of_late_events_are_told(lively: int) -> None:
    """They come after more frames than are streamed, in all sequences or in the last one only."""
    body = "d = Mul(h_in, k) h_out = Add(d, x) y = Relu(h_out)"
    decay = np.array(0.99, np.float32)
    proto = model("float[N,2] x, float[N,2] h_in", body, outputs="y h_out", k=decay)
    x = np.zeros((4, 600, 2), np.float32)
    x[-lively:, 300] = np.random.default_rng(0).uniform(3, 5, (lively, 2))
    given: dict[str, Any] = {"calibration": x, "states": "auto", "t_max": 16, "effort": 0}
    with pytest.warns(CompileWarning) as told:
        qcompiler.compile(proto, target="reference", **given)
    wanted = rf'"y" is \d+% of its spread on {256 * lively:,} streamed calibration inputs'
    assert any(re.search(wanted, str(one.message)) for one in told)


def test_errors_at_rest_are_told() -> None:
    """Rounding is small beside a burst, but not beside all that is before and behind it."""
    body = "d = Mul(h_in, k) h_out = Add(d, x) y = Relu(h_out)"
    decay = np.array(0.97, np.float32)
    proto = model("float[N,2] x, float[N,2] h_in", body, outputs="y h_out", k=decay)
    x = np.random.default_rng(0).normal(size=(1, 1280, 2)).astype(np.float32)
    x[:, :300] /= 10
    x[:, 500:] /= 10
    given: dict[str, Any] = {"calibration": x, "states": "auto", "t_max": 16, "effort": 0}
    with pytest.warns(CompileWarning, match=r'"y" is \d+% of its spread on 1,280 streamed calibr'):
        qcompiler.compile(proto, target="reference", **given)


def test_a_stream_begins_from_given_states() -> None:
    program, x = compiled("elman"), sequences(2, 9)
    whole = run_stream(program, (x,), count=False).outputs
    states = {"h_in": whole["h_out"].reshape(2, 9, -1)[:, 3]}
    rest = run_stream(program, (x[:, 4:],), count=False, begin=states).outputs["y"]
    wanted = whole["y"].reshape(2, 9, -1)[:, 4:]
    np.testing.assert_array_equal(rest.reshape(wanted.shape), wanted)


def test_an_initial_value_far_from_the_others_is_named() -> None:
    with pytest.warns(CompileWarning, match='state "h_in" begins at 200, far from') as caught:
        compiled("elman", states="h_out:h_in=200", effort=0, calibration=sequences(4, 150))
    texts = [str(one.message) for one in caught]
    assert any('states="OUT:h_in=INITIAL"' in text for text in texts)
    assert not any("remove frame" in text for text in texts)


def test_values_between_zero_and_the_initial_one_are_not_cut() -> None:
    proto = model("float[N,2] x, float[N,2] s_in", "s_out = Add(s_in, x)", outputs="s_out")
    x = np.zeros((4, 30, 2), np.float32)
    x[:, ::3], x[:, 1::3], x[:, 2::3] = -1.0, 2.0, -1.0
    program = qcompiler.compile(proto, target="reference", calibration=x, states="s_out:s_in=11")
    found = run_stream(program, (x,), count=False).outputs["s_out"].reshape(4, 30, 2)
    np.testing.assert_allclose(found, 11 + x.cumsum(axis=1), atol=0.05)
