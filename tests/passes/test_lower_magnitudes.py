"""Magnitudes of pairs become ReLUs of directions: spellings, and errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.ir.ann import Function
from qcompiler.passes import Pipeline
from qcompiler.passes.tensor.lower_magnitudes import directions_for
from tests.support.onnx_models import Array, ints, model, run_onnx

BINS, LENGTH, WINDOW = 5, 64, 16
HALVES = "re = Slice(z, i0, i1, i1a) im = Slice(z, i1, i2, i1a)"
ADDED = f"{HALVES} a = Pow(re, two) b = Mul(im, im) s = Add(a, b)"
APART = "v = Reshape(z, pair)"
SUMMED = f"{APART} q = Mul(v, v) s = ReduceSum<keepdims=0>(q, i1a)"
SPELLINGS = {
    "added": (f"{ADDED} m = Sqrt(s)", 0),
    "cut behind": (
        f"{HALVES} p = Slice(re, i1a, end, last) q = Slice(im, i1a, end, last) a = Mul(p, p)"
        " b = Mul(q, q) s = Add(a, b) m = Sqrt(s)",
        0,
    ),
    "halved exponent": (f"{ADDED} m = Pow(s, half)", 0),
    "reduced": (f"{SUMMED} m = Sqrt(s)", 0),
    "norm": (f"{APART} m = ReduceL2<keepdims=0, axes=[1]>(v)", 0),
    "a constant in the sum": (f"{ADDED} e = Add(s, small) m = Sqrt(e)", 1),
    "logarithm": (f"{ADDED} e = Add(s, small) m = Log(e)", 1),
    "scaled": (f"{ADDED} g = Sqrt(s) m = Mul(g, gain)", 0),
}


def spectrum(spelling: str) -> onnx.ModelProto:
    """A layer behind the magnitudes of a short-time Fourier transform."""
    turns = 2 * np.pi * np.outer(np.arange(BINS), np.arange(WINDOW)) / WINDOW
    waves = np.concatenate([np.cos(turns), np.sin(turns)]).astype(np.float32)[:, None]
    body = SPELLINGS[spelling][0]
    constants: dict[str, Any] = {
        "i0": ints(0),
        "i1": ints(BINS),
        "i2": ints(2 * BINS),
        "i1a": ints(1),
        "pair": ints(0, 2, BINS, 7),
        "last": ints(2),
        "end": ints(7),
        "two": np.float32(2),
        "half": np.float32(0.5),
        "small": np.float32(1e-3),
        "gain": np.linspace(-1, 2, BINS, dtype=np.float32)[:, None],
    }
    used = {name: one for name, one in constants.items() if name in re.findall(r"\w+", body)}
    text = f"z = Conv<strides=[8]>(x, w) {body} f = Flatten(m) y = Gemm(f, v0)"
    return model(
        f"float[N,1,{LENGTH}] x", text, w=waves, v0=(BINS * (6 if "end" in used else 7), 3), **used
    )


def sounds(count: int, seed: int = 0) -> Array:
    """Sums of three tones each, loud and quiet."""
    rng = np.random.default_rng(seed)
    loud = 10 ** rng.uniform(-2, 0.3, (count, 3, 1))
    pitch, phase = (rng.uniform(0, most, (count, 3, 1)) for most in (2.5, 6))
    tones = loud * np.cos(pitch * np.arange(LENGTH) + phase)
    found: Array = tones.sum(axis=1, keepdims=True).astype(np.float32)
    return found


def lowered(proto: onnx.ModelProto, options: str = "") -> Graph:
    passes = f"fold-batchnorm,fold-linear,lower-magnitudes{options}"
    return Pipeline.parse(passes).run(import_model(proto).graph)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_become_directions(spelling: str) -> None:
    proto, functions = spectrum(spelling), SPELLINGS[spelling][1]
    graph = lowered(proto, "{activation_error=0.002}")
    found = [node for node in graph.nodes if isinstance(node.op, Function)]
    assert len(found) == functions
    assert not any(node.op.formula == "x x *" for node in found if isinstance(node.op, Function))
    x = sounds(16)
    wanted = run_onnx(proto, {"x": x})[0]
    np.testing.assert_allclose(evaluate(graph, x)[0], wanted, atol=0.005 * np.ptp(wanted))


@pytest.mark.parametrize(("bound", "count"), [(0.07, 3), (1 / 64, 7), (1 / 256, 13), (1e-9, 33)])
def test_directions_err_within_the_bound(bound: float, count: int) -> None:
    assert directions_for(bound) == count
    angles = np.linspace(0, 2 * np.pi, 1001)[:, None]
    sums = np.maximum(np.cos(angles - 2 * np.pi * np.arange(count) / count), 0).sum(axis=1)
    assert np.ptp(sums) / 2 / sums.mean() < max(bound, 6e-4) * 1.05


def test_dense_layers_have_directions_too() -> None:
    body = "a = Gemm(x, w) b = Gemm(x, u) p = Mul(a, a) q = Mul(b, b) s = Add(p, q) y = Sqrt(s)"
    proto = model("float[N,6] x", body, w=(6, 4), u=(6, 4))
    x = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)
    graph = lowered(proto, "{t_max=256}")
    assert not any(isinstance(node.op, Function) for node in graph.nodes)
    np.testing.assert_allclose(evaluate(graph, x)[0], run_onnx(proto, {"x": x})[0], rtol=0.002)


@pytest.mark.parametrize(
    "body",
    [
        "a = Gemm(x, w) b = Gemm(r, u) p = Mul(a, a) q = Mul(b, b) s = Add(p, q) y = Sqrt(s)",
        "a = Gemm(x, w) b = Gemm(x, u) p = Mul(a, a) q = Mul(b, b) s = Add(p, q) m = Sqrt(s) "
        "y = Add(m, s)",
        "a = Gemm(x, w) b = Gemm(x, u) p = Mul(a, a) q = Abs(b) s = Add(p, q) y = Sqrt(s)",
        "a = Gemm(x, w) b = Gemm(x, u) p = Mul(a, a) q = Mul(b, b) s = Add(p, q) y = Tanh(s)",
    ],
    ids=["two values", "squares read by others", "no square", "no root"],
)
def test_others_stay(body: str) -> None:
    proto = model("float[N,6] x", f"r = Relu(x) {body}", w=(6, 4), u=(6, 4))
    graph = Pipeline.parse("fold-batchnorm,fold-linear").run(import_model(proto).graph)
    assert Pipeline.parse("lower-magnitudes").run(graph) == graph


def test_quiet_sounds_keep_their_levels() -> None:
    """With squares the error was 22 % at 16 levels and 16 % at 64, with more neurons."""
    proto, x = spectrum("added"), sounds(256)
    wanted = run_onnx(proto, {"x": sounds(128, seed=1)})[0]
    for t_max, most in ((16, 0.17), (64, 0.05)):
        program = qcompiler.compile(proto, calibration=x, t_max=t_max, target="reference")
        error = program.run(sounds(128, seed=1)) - wanted
        assert np.sqrt(np.mean(error**2)) < most * wanted.std()


def test_layers_that_something_else_reads_stay_beside_the_magnitude() -> None:
    body = (
        "c = Conv<strides=[4]>(x, w) a = BatchNormalization(c, g, h, zero, one) "
        "b = Conv<strides=[4]>(x, u) p = Mul(a, a) q = Mul(b, b) s = Add(p, q) "
        "y = Sqrt(s) z = Relu(a)"
    )
    zero, one = np.zeros(4, np.float32), np.ones(4, np.float32)
    given: dict[str, Any] = {
        "w": (4, 1, 8),
        "u": (4, 1, 8),
        "g": 2 * one,
        "h": one,
        "zero": zero,
        "one": one,
    }
    proto = model("float[N,1,24] x", body, outputs="y z", **given)
    x = np.random.default_rng(0).standard_normal((64, 1, 24), np.float32)
    program = qcompiler.compile(proto, calibration=x, target="reference", t_max=64)
    for found, exact in zip(program.run(x), run_onnx(proto, {"x": x}), strict=True):
        assert np.std(found - exact) < 0.1 * exact.std()
