"""State across frames: cells compiled, saved, loaded and run as streams of many frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import Program
from qcompiler.backends.program.stream import run_stream
from tests.support.cells import FEATURES, cell, compiled, run_recurrently, sequences
from tests.support.onnx_models import model

Array = np.ndarray[Any, Any]
FRAMES = 150
pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")


def errors(program: Program, kind: str) -> dict[str, Array]:
    """Root mean square error of every frame, as a share of the output's spread."""
    x = sequences(16, FRAMES, seed=1)
    wanted = run_recurrently(cell(kind), x)
    found = run_stream(program, (x,), count=False).outputs
    return {
        name: np.sqrt(np.square(found[name].reshape(right.shape) - right).mean(axis=(0, 2)))
        / right.std()
        for name, right in wanted.items()
    }


# The bounds are what the same cells lose whose states have as many levels as other values.
@pytest.mark.parametrize(
    ("kind", "t_max", "most"),
    [
        ("elman", 16, 0.12),
        ("elman", 64, 0.033),
        pytest.param("gru", 64, 0.078, marks=pytest.mark.long),
        ("lstm", 64, 0.092),
    ],
)
def test_error_does_not_grow(kind: str, t_max: int, most: float, tmp_path: Path) -> None:
    compiled(kind, t_max=t_max).save(tmp_path / "program")
    program = qcompiler.load(tmp_path / "program")
    assert str(program.states[0]) == "h_out:h_in"
    for error in errors(program, kind).values():
        early, late = error[20 : FRAMES // 2].mean(), error[FRAMES // 2 :].mean()
        assert late < 1.25 * early
        assert max(early, late) < most


def test_ring_buffer_moves_levels_unchanged() -> None:
    program = compiled("ring")
    x = sequences(3, 12, seed=2)
    for engine in ("fast", "steps"):
        stream, before = program.stream(engine), None
        for at in range(x.shape[1]):
            stream.step(x[:, at])
            now = stream.levels["cache_in"]
            if before is not None:
                np.testing.assert_array_equal(now[:, :, :-1], before[:, :, 1:])
            before = now


@pytest.mark.parametrize("kind", ["elman", "gru", "lstm"])
def test_engines_agree_on_every_level(kind: str) -> None:
    program = compiled(kind)
    streams = [program.stream(engine) for engine in ("fast", "steps")]
    for frame in sequences(2, 3, seed=3).swapaxes(0, 1):
        one, other = (stream.step(frame) for stream in streams)
        np.testing.assert_array_equal(one, other)
        for name in streams[0].levels:
            np.testing.assert_array_equal(streams[0].levels[name], streams[1].levels[name])


@pytest.mark.lava
def test_lava_agrees() -> None:
    program = compiled("gru", target="loihi", t_max=8)
    streams = [program.stream(engine) for engine in ("fast", "lava")]
    for frame in sequences(1, 2, seed=3).swapaxes(0, 1):
        one, other = (stream.step(frame) for stream in streams)
        np.testing.assert_array_equal(one, other)
        fast, lava = (stream.levels["h_in"] for stream in streams)
        np.testing.assert_array_equal(fast, lava)


def test_keywords() -> None:
    """Four words of 150 frames in much noise, told apart by what a cell remembers at their end."""
    rng = np.random.default_rng(4)
    words = rng.normal(size=(4, FRAMES, FEATURES)).cumsum(axis=1) / np.sqrt(FRAMES)

    def spoken(count: int) -> tuple[Array, Array]:
        labels = rng.integers(4, size=count)
        found = words[labels] + 0.8 * rng.normal(size=(count, FRAMES, FEATURES))
        return found.astype(np.float32), labels

    x, labels = spoken(300)
    states = run_recurrently(cell("gru"), x)["h_out"][:, -1]
    readout = np.linalg.lstsq(states, 2 * np.eye(4)[labels] - 0.5, rcond=None)[0]
    proto = cell("gru", readout=readout)
    test, wanted = spoken(200)
    ann = run_recurrently(proto, test)["y"][:, -1].argmax(axis=1) == wanted
    program = qcompiler.compile(
        proto, target="reference", calibration=x[:24], states="auto", t_max=32
    )
    found = run_stream(program, (test,), count=False).outputs["y"].reshape(200, FRAMES, 4)
    snn = found[:, -1].argmax(axis=1) == wanted
    assert ann.mean() > 0.9
    assert snn.mean() >= ann.mean() - 0.02


def test_video_of_events() -> None:
    """An encoder and decoder with a gated state between them marks pixels of sparse frames."""
    rng = np.random.default_rng(6)
    shapes = {"W": (4, 2, 3, 3), "D": (6, 4, 3, 3), "Z": (6, 12, 3, 3), "N": (6, 12, 3, 3)}
    given: dict[str, Any] = {
        name: (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in (shapes | {"U": (6, 4, 2, 2), "V": (1, 4, 1, 1)}).items()
    }
    body = """
        e0 = Conv<pads = [1,1,1,1]>(x, W) e = Relu(e0)
        d0 = Conv<pads = [1,1,1,1], strides = [2,2]>(e, D) d = Relu(d0)
        both = Concat<axis = 1>(d, h_in)
        z0 = Conv<pads = [1,1,1,1]>(both, Z) z = Sigmoid(z0)
        n0 = Conv<pads = [1,1,1,1]>(both, N) n = Tanh(n0)
        c = Sub(n, h_in) zc = Mul(z, c) h_out = Add(h_in, zc)
        u = ConvTranspose<strides = [2,2]>(h_out, U)
        s = Add(u, e) r = Relu(s) y = Conv(r, V)
    """
    inputs = "float[N,2,8,8] x, float[N,6,4,4] h_in"
    proto = model(inputs, body, outputs="y h_out", **given)
    x = (rng.random((6, 40, 2, 8, 8)) < 0.15).astype(np.float32)
    program = qcompiler.compile(
        proto, target="reference", calibration=x[:, :20], states="auto", t_max=64
    )
    wanted = run_recurrently(proto, x)["y"]
    found = run_stream(program, (x,), count=False).outputs["y"].reshape(wanted.shape)
    error = np.sqrt(np.square(found - wanted).mean(axis=(0, 2, 3, 4))) / wanted.std()
    assert error[20:].mean() < 1.25 * error[:20].mean()
    marked = wanted > wanted.mean()
    missed = np.mean((found > wanted.mean()) != marked)
    assert missed < 0.03  # of the pixels: those that lie within the error of the bound


def test_fixed_point() -> None:
    """A network whose answer is where its feedback settles, as deep equilibrium networks are."""
    rng = np.random.default_rng(5)
    weights = {"W": rng.normal(size=(8, 8)) * 0.15, "U": rng.normal(size=(4, 8)) * 0.5}
    given: dict[str, Any] = {name: array.astype(np.float32) for name, array in weights.items()}
    body = "zw = MatMul(z, W) xu = MatMul(x, U) s = Add(zw, xu) z_next = Tanh(s)"
    proto = model("float[N,4] x, float[N,8] z", body, outputs="z_next", **given)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    held = np.repeat(x[:, None], 12, axis=1)
    program = qcompiler.compile(
        proto, target="reference", calibration=held[:100], states="z_next:z", t_max=64
    )
    stream, exact = program.stream(), np.zeros((100, 8))
    for _ in range(40):
        settled = stream.step(x[100:])
        exact = np.tanh(exact @ weights["W"] + x[100:] @ weights["U"])
    before = stream.levels["z"]
    stream.step(x[100:])
    assert np.abs(stream.levels["z"] - before).max() <= 1  # at rest, or between two levels
    # The rounds unrolled into one network lose 6.7 %, as every round has codes of its own.
    assert np.sqrt(np.square(settled - exact).mean()) < 0.067 * exact.std()
