"""Few frames tell little: their order counts for nothing, and ranges and bounds leave room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir.kernels import Array
from qcompiler.passes.tensor.steady_tops import halves_of
from tests.support.onnx_models import model, run_onnx
from tests.support.spiking import same_spikes

RNG = np.random.default_rng(2)


def weights(inputs: int, outputs: int) -> Array:
    """Of a dense layer that keeps the size of values."""
    found: Array = (RNG.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)
    return found


def error(proto: Any, data: Array, unseen: Array, **options: Any) -> float:
    """Of unseen frames, as a share of their spread."""
    program = qcompiler.compile(proto, target="reference", calibration=data, **options)
    (wanted,) = run_onnx(proto, {"x": unseen})
    return float(np.sqrt(np.mean((program.run(unseen) - wanted) ** 2)) / wanted.std())


@pytest.mark.parametrize("count", [1, 2, 3, 8, 201])
def test_halves_have_one_of_each_two(count: int) -> None:
    halves = halves_of(count)
    pairs = halves[:, : count // 2 * 2].reshape(2, -1, 2)
    assert halves.shape == (2, count) and (pairs.sum(axis=0) == 1).all()
    assert (pairs.sum(axis=2) == 1).all() and not halves[:, count // 2 * 2 :].any()
    assert abs(pairs.sum(axis=1) - pairs.shape[1] / 2).max(initial=0) <= 2


@pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
def test_frames_may_alternate() -> None:
    """Weak and strong ones in turn, whichever comes first."""
    w, v = weights(8, 16), weights(16, 4)
    w *= np.geomspace(0.1, 10, 16, dtype=np.float32)
    proto = model("float[N,8] x", "h = MatMul(x, w) r = Relu(h) y = MatMul(r, v)", w=w, v=v)
    strength = np.where(np.arange(200) % 2, 1.0, 0.05)[:, None]
    data, unseen = ((strength * RNG.normal(size=(200, 8))).astype(np.float32) for _ in range(2))
    errors = [error(proto, np.roll(data, by, axis=0), unseen, t_max=64) for by in (0, 1)]
    shuffled = error(proto, RNG.permutation(data), unseen, t_max=64)
    assert max(errors) < 2 * shuffled


@pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
@pytest.mark.parametrize("function", ["Sigmoid", "Tanh"])
def test_channels_of_functions(function: str) -> None:
    """Fitted to few frames they err no more than about twice as much as with one range for all."""
    w, v = weights(8, 24), weights(24, 5)
    proto = model("float[N,8] x", f"h = MatMul(x, w) r = {function}(h) y = MatMul(r, v)", w=w, v=v)
    data, unseen = (RNG.normal(size=(n, 8)).astype(np.float32) for n in (8, 500))
    coarse, fitted = (error(proto, data, unseen, t_max=64, effort=effort) for effort in (0, 1))
    assert fitted < 2.5 * coarse


@pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
def test_bounds_of_one_frame_leave_room() -> None:
    """Other frames like it stay within: the engine that knows no bounds finds the same spikes."""
    w, v = weights(64, 128), weights(128, 10)
    proto = model("float[N,64] x", "h = MatMul(x, w) r = Relu(h) y = MatMul(r, v)", w=w, v=v)
    data, unseen = (RNG.normal(size=(n, 64)).astype(np.float32) for n in (1, 100))
    program = qcompiler.compile(proto, target="loihi", calibration=data, t_max=64)
    assert program.unproved_checks
    same_spikes(program, "fast", unseen)
