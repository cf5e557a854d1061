"""Tasks that systems for spiking hardware are built for: each program is as good as its network.

The weights are random but for the last layer, which is fitted by ridge regression.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_digits

import qcompiler
from qcompiler.backends.program.stream import run_stream
from tests.support.cells import run_recurrently
from tests.support.onnx_models import model, run_onnx

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
CLOSE = 0.98  # of the network's own score


def weights(seed: int, **shapes: tuple[int, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.normal(size=shape) * np.sqrt(2 / max(1, prod(shape[1:])))).astype(np.float32)
        for name, shape in shapes.items()
    }


def fit_last(proto: onnx.ModelProto, features: Array, wanted: Array) -> None:
    """Fit the last layer, of weights V and bias b, to make a target of features."""
    rows = np.hstack([features, np.ones((len(features), 1))])
    ridge = 1e-4 * len(rows) * features.var() * np.eye(rows.shape[1])
    found = np.linalg.solve(rows.T @ rows + ridge, rows.T @ wanted).astype(np.float32)
    for held in proto.graph.initializer:
        if held.name in ("V", "b"):
            new = found[-1] if held.name == "b" else found[:-1]
            new = new.T.reshape(held.dims) if len(held.dims) > 2 else new
            held.CopyFrom(onnx.numpy_helper.from_array(new, held.name))


def in_pixels(maps: Array) -> Array:
    """``... x channels x height x width`` as ``pixels x channels``."""
    found: Array = np.moveaxis(maps, -3, -1).reshape(-1, maps.shape[-3])
    return found


def overlap(found: Array, wanted: Array) -> float:
    """Intersection over union of what is marked."""
    marked = found.reshape(wanted.shape) > 0
    return float((marked & wanted).sum() / (marked | wanted).sum())


def test_textures_are_told_apart_by_touch() -> None:
    """Twelve taxels slide over ridges of four widths."""
    rng = np.random.default_rng(0)

    def touched(count: int) -> tuple[Array, Array]:
        labels = rng.integers(4, size=count)
        width = np.array([2.5, 3.5, 5.0, 8.0])[labels][:, None, None]
        place = np.arange(12)[:, None] + np.arange(24) * rng.uniform(0.5, 1, (count, 1, 1))
        ridges = np.sin(2 * np.pi * (place / width + rng.random((count, 1, 1)))) > 0.3
        return (ridges + 0.2 * rng.random(ridges.shape)).astype(np.float32), labels

    body = """
        a0 = Conv<pads = [2,2]>(x, A) a = Relu(a0) p = MaxPool<kernel_shape = [2], strides = [2]>(a)
        b0 = Conv<pads = [1,1]>(p, B) q = Relu(b0) m = GlobalAveragePool(q) f = Flatten(m)
        y = Gemm(f, V, b)
    """
    given = weights(1, A=(32, 12, 5), B=(64, 32, 3), V=(64, 4), b=(4,))
    proto = model("float[N,12,24] x", body, outputs="y f", **given)
    x, labels = touched(600)
    features = run_onnx(proto, {"x": x})[1]
    fit_last(proto, features, np.eye(4)[labels])
    del proto.graph.output[1]
    test, wanted = touched(400)
    ann = np.mean(run_onnx(proto, {"x": test})[0].argmax(axis=1) == wanted)
    program = qcompiler.compile(proto, target="reference", calibration=x[:200])
    snn = np.mean(np.asarray(program.run(test)).argmax(axis=1) == wanted)
    assert ann > 0.9
    assert snn >= CLOSE * ann


def test_feedback_settles_where_the_network_does() -> None:
    """Digits are named by the fixed point of a layer that feeds itself."""
    digits = load_digits()
    x, labels = (digits.data / 16).astype(np.float32), digits.target
    rng, rounds = np.random.default_rng(2), 12
    back = rng.normal(size=(64, 64)) / 16  # norm of about 1: half of it passes a rectifier
    given = {"W": back.astype(np.float32), **weights(3, U=(64, 64), V=(64, 10), b=(10,))}
    body = "i = Gemm(x, U) r = Gemm(h_in, W) s = Add(i, r) h_out = Relu(s) y = Gemm(h_out, V, b)"
    proto = model("float[N,64] x, float[N,64] h_in", body, outputs="y h_out", **given)
    shown = np.repeat(x[:, None], rounds, axis=1)
    states = run_recurrently(proto, shown[:1000])["h_out"]
    assert np.abs(states[:, -1] - states[:, -2]).max() < 0.01 * states.max()
    fit_last(proto, states[:, -1], np.eye(10)[labels[:1000]])
    ann = run_recurrently(proto, shown[1000:])["y"][:, -1].argmax(axis=1) == labels[1000:]
    program = qcompiler.compile(
        proto, target="reference", calibration=shown[:50], states="auto", t_max=32
    )
    found = run_stream(program, (shown[1000:],), count=False).outputs["y"]
    snn = found.reshape(len(ann), rounds, 10)[:, -1].argmax(axis=1) == labels[1000:]
    assert ann.mean() > 0.85
    assert snn.mean() >= CLOSE * ann.mean()


def discs(rng: np.random.Generator, count: int, size: int, frames: int) -> Array:
    """Whether pixels lie in a disc that moves: ``count x frames x size x size``."""
    begin, speed = rng.uniform(3, size - 3, (count, 2, 1)), rng.uniform(-0.6, 0.6, (count, 2, 1))
    y, x = (begin + speed * np.arange(frames)).swapaxes(0, 1)[..., None, None] % size
    rows, columns = np.mgrid[:size, :size]
    radius = rng.uniform(2, 3.5, (count, 1, 1, 1))
    inside: Array = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    return inside


def test_unet_marks_pixels() -> None:
    """Discs in noise, by an encoder and a decoder with a skip connection."""
    rng = np.random.default_rng(4)
    body = """
        e0 = Conv<pads = [1,1,1,1]>(x, A, a) e = Relu(e0)
        p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(e)
        d0 = Conv<pads = [1,1,1,1]>(p, B) d = Relu(d0)
        u = ConvTranspose<strides = [2,2]>(d, U) c = Concat<axis = 1>(e, u)
        f0 = Conv<pads = [1,1,1,1]>(c, C, g) f = Relu(f0) y = Conv(f, V, b)
    """
    given = weights(5, A=(8, 1, 3, 3), B=(12, 8, 3, 3), U=(12, 8, 2, 2), C=(32, 16, 3, 3))
    given |= weights(6, a=(8,), g=(32,), b=(1,), V=(1, 32, 1, 1))
    proto = model("float[N,1,12,12] x", body, outputs="y f", **given)

    def seen(count: int) -> tuple[Array, Array]:
        inside = discs(rng, count, 12, 1)
        return (inside + rng.random(inside.shape) - 0.8).astype(np.float32), inside

    x, inside = seen(150)
    fit_last(proto, in_pixels(run_onnx(proto, {"x": x})[1]), inside.reshape(-1, 1) - 0.35)
    del proto.graph.output[1]
    test, wanted = seen(80)
    ann = overlap(run_onnx(proto, {"x": test})[0], wanted)
    program = qcompiler.compile(proto, target="reference", calibration=x[:50], t_max=32)
    snn = overlap(np.asarray(program.run(test)), wanted)
    assert ann > 0.7
    assert snn >= CLOSE * ann


def test_video_of_events_is_marked_with_what_was_seen_before() -> None:
    """A camera of events sees edges that move; a state across frames adds them up."""
    rng = np.random.default_rng(6)
    body = """
        e0 = Conv<pads = [1,1,1,1]>(x, A, a) e = Relu(e0) d0 = Conv<strides = [2,2]>(x, B)
        k = Mul(h_in, decay) s0 = Add(d0, k) h_out = Clip(s0, low, high)
        u = ConvTranspose<strides = [2,2]>(h_out, U) c = Concat<axis = 1>(e, u)
        f0 = Conv<pads = [1,1,1,1]>(c, C, g) f = Relu(f0) y = Conv(f, V, b)
    """
    places = np.eye(4, dtype=np.float32).reshape(4, 1, 2, 2)  # of a pixel in a block of four
    given = weights(7, A=(4, 2, 3, 3), a=(4,), C=(16, 5, 3, 3), V=(1, 16, 1, 1), b=(1,), g=(16,))
    given |= {"B": np.concatenate([places, -places], axis=1), "U": places}
    given |= {"decay": np.float32(0.98), "low": np.float32(-1), "high": np.float32(1)}
    inputs = "float[N,2,12,12] x, float[N,4,6,6] h_in"
    proto = model(inputs, body, outputs="y h_out f", **given)

    def filmed(count: int) -> tuple[Array, Array]:
        inside = discs(rng, count, 12, 12)
        change = np.diff(inside.astype(int), axis=1, prepend=0)  # the first comes into sight
        noise = rng.random((2, *change.shape)) < 0.01
        events = np.stack([(change > 0) | noise[0], (change < 0) | noise[1]], axis=2)
        return events.astype(np.float32), inside

    x, inside = filmed(60)
    fit_last(proto, in_pixels(run_recurrently(proto, x)["f"]), inside.reshape(-1, 1) - 0.35)
    del proto.graph.output[2]
    test, wanted = filmed(30)
    ann = overlap(run_recurrently(proto, test)["y"], wanted)
    program = qcompiler.compile(
        proto, target="reference", calibration=x[:12], states="auto", t_max=32
    )
    snn = overlap(run_stream(program, (test,), count=False).outputs["y"], wanted)
    assert ann > 0.6
    assert snn >= CLOSE * ann
