"""Segments of functions: where they begin, and how narrow membranes allow them to be."""

from __future__ import annotations

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.ir.ann import Clip
from qcompiler.passes.activations.duplication import MOST_CLIPS
from qcompiler.passes.activations.segments import fit
from qcompiler.passes.calibration.data import run
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import compiled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 8)).astype(np.float32)
W = RNG.normal(size=(8, 3)).astype(np.float32)
MEMBRANE = 131071  # of Loihi


def clips_of(graph: Graph) -> list[Clip]:
    return [node.op for node in graph.nodes if isinstance(node.op, Clip)]


@pytest.mark.parametrize("function", ["Sigmoid", "Tanh", "Elu", "HardSwish"])
def test_segments_begin_at_zero(function: str) -> None:
    """Most values lie near it, so that few levels are high and membranes hold larger weights."""
    proto = model("float[N,8] x", f"a = MatMul(x, w) y = {function}(a)", w=W)
    text = "fold-linear,normalize,lower-activations"
    graph = compiled(import_model(proto).graph, text, calibration=(X,), t_max=64)
    names = [node.result.name for node in graph.nodes if isinstance(node.op, Clip)]
    found = next(run(graph, (np.zeros((1, 8), np.float32),), names))
    assert len(names) > 2
    for name, clip in zip(names, clips_of(graph), strict=True):
        assert clip.high is not None and found[name].max() < clip.high  # zero is beside a knot
    (exact,) = run_onnx(proto, {"x": X})
    np.testing.assert_allclose(evaluate(graph, X)[0], exact, atol=0.02 * np.ptp(exact))


@pytest.mark.parametrize("size", [3e-8, 1e-12])
def test_functions_of_tiny_values_are_their_lines_there(size: float) -> None:
    """A range is narrow beside its own values, not beside 1: from there on it is any other."""
    body = "a = MatMul(x, w) b = HardSwish(a) y = MatMul(b, v)"
    tiny, small = (
        model("float[N,8] x", body, w=(W * scale).astype(np.float32), v=W.T)
        for scale in (size, 1e-5)
    )
    (found, same) = (
        np.asarray(qcompiler.compile(one, calibration=X, target="reference").run(X)) / scale
        for one, scale in ((tiny, size), (small, 1e-5))
    )
    # the function bends by 1e-5 of the values at 1e-5, which moves few of them by a level
    assert np.mean((found - same) ** 2) < 1e-3 * np.var(same)


@pytest.mark.parametrize(("steep", "fewer"), [(0.3, False), (10.0, True)])
def test_membranes_bound_the_segments_of_steep_functions(steep: float, fewer: bool) -> None:
    """The whole sum in the membrane of a narrow segment leaves room for a slope of 1, or none."""
    body = "a = MatMul(x, w) b = Mul(a, s) y = Tanh(b)"
    graph = import_model(model("float[N,8] x", body, w=W, s=np.float32(steep))).graph
    texts = [f"normalize,lower-activations{{potential={most}}}" for most in (0, MEMBRANE)]
    free, bound = (
        len(clips_of(compiled(graph, f"fold-linear,{text}", calibration=(X,), t_max=64)))
        for text in texts
    )
    assert 1 <= bound < free if fewer else bound == free


def test_a_jump_just_beside_an_end_leaves_the_segments_behind_it() -> None:
    """Rounding is a steep slope between the two: beside it, all others were flat."""
    found = fit("x 1e-12 > 1 x / 0 where 0 max 1 min", (0.0, 16.0), 0.01, 1 / 16)
    x = np.linspace(2, 16, 99)
    levels = np.interp(x, found.knots, found.values) + sum(jump.height for jump in found.jumps)
    np.testing.assert_allclose(levels, 1 / x, atol=0.01)
    assert np.count_nonzero(found.slopes) > 3


@pytest.mark.parametrize("t_max", [8, 16])
def test_with_few_levels_segments_have_the_layer_to_themselves(t_max: int) -> None:
    """A few segments less err less than rounding the variable of all of them to levels."""
    x = RNG.normal(size=(200, 24, 3, 3)).astype(np.float32)
    weights = RNG.normal(size=(3, 24, 1, 1)).astype(np.float32) / 4
    proto = model("float[N,24,3,3] x", "a = Conv(x, w) y = Tanh(a)", w=weights)
    program = qcompiler.compile(proto, calibration=x, t_max=t_max, target="reference")
    names = [row.name for row in program.report().populations if row.kind == "integrate"]
    assert "a" not in names and 4 <= sum(":piece" in name for name in names) <= MOST_CLIPS
    (exact,) = run_onnx(proto, {"x": x})
    error = np.sqrt(np.mean((np.asarray(program.run(x)) - exact) ** 2) / exact.var())
    assert error < 0.1


@pytest.mark.parametrize("error", [0.0, 0.002])
def test_sums_of_functions_are_not_rounded_to_few_levels(error: float) -> None:
    """By default segments are as few as copies of the layer may be; asked for, copies are more."""
    body = "a = Conv(x, w) s = Sigmoid(a) m = Mul(a, s) b = Conv(m, v) y = Relu(b)"
    proto = model("float[N,3,8,8] x", body, w=(8, 3, 3, 3), v=(8, 8, 3, 3))
    x = np.random.default_rng(0).standard_normal((60, 3, 8, 8)).astype(np.float32)
    program = qcompiler.compile(
        proto, target="loihi", calibration=x, t_max=16, activation_error=error
    )
    assert "a" not in [one.name for one in program.report().populations]
