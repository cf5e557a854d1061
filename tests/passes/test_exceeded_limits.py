"""Sums that no code makes small enough for the membranes of a chip: refused, and what helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.membrane_limits import MembraneLoad
from tests.support.onnx_models import ints, model, run_onnx

STEEP = 200.0  # 64 levels of an input move the result by that many of its ranges


def steep_step(inputs: int) -> tuple[Any, Array]:
    """A narrow clip of a large sum, whose weights have one sign: membranes reach all of it."""
    rng = np.random.default_rng(0)
    x = rng.random((100, inputs)).astype(np.float32)
    w = rng.uniform(STEEP / 2, STEEP, (inputs, 4)).astype(np.float32)
    given: dict[str, Any] = {"w": w, "b": -(x @ w).mean(axis=0), "lo": np.float32(0)}
    given |= {"hi": np.float32(1), "v": (4, 3)}
    body = "a = Gemm(x, w, b) r = Clip(a, lo, hi) y = MatMul(r, v)"
    return model(f"float[N,{inputs}] x", body, **given), x


def test_membranes_that_exceed_are_refused() -> None:
    proto, x = steep_step(400)
    with pytest.raises(UnsupportedModel, match="the membrane potentials") as caught:
        qcompiler.compile(proto, target="loihi", calibration=x, t_max=64)
    (fault,) = caught.value.diagnostics
    assert fault.nodes == ("a_node", "r_node")
    assert fault.help == 'use a smaller t_max, or target="reference"'


@pytest.mark.parametrize(("target", "t_max"), [("reference", 64), ("loihi", 16)])
@pytest.mark.filterwarnings("ignore:the error of output")  # a level of an input is the whole range
def test_what_is_told_helps(target: str, t_max: int) -> None:
    proto, x = steep_step(400)
    program = qcompiler.compile(proto, target=target, calibration=x, t_max=t_max)
    (exact,) = run_onnx(proto, {"x": x})
    found = np.asarray(program.run(x))
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.9
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))


def distances(size: Array) -> Any:
    """Squared distances from three points, each feature by its size, as naive Bayes has them."""
    body = "e = Unsqueeze(x, i) a = Sub(e, m) b = Mul(a, a) c = Div(b, s)"
    points = size * np.linspace(-1, 1, 3, dtype=np.float32)[:, None]
    given: dict[str, Any] = {"m": points[None], "s": np.tile(size**2, (1, 3, 1)), "i": ints(1)}
    text = f"{body} y = ReduceSum<keepdims=0>(c, k)"
    return model("float[N,4] x", text, **given, k=ints(2))


@pytest.mark.parametrize(("size", "smaller"), [(1e3, True), (1e4, False)])
def test_features_of_unlike_size_are_to_be_scaled(size: float, smaller: bool) -> None:
    """Slopes are as unlike as squares of sizes: a slope of 1 and one of 1e8 fit at no t_max."""
    sizes = np.geomspace(1, size, 4, dtype=np.float32)
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    with pytest.raises(UnsupportedModel, match="what engines compute exactly") as caught:
        compiles(distances(sizes), x * sizes, 16)
    (fault,) = caught.value.diagnostics
    if smaller:
        assert fault.help == "use a smaller t_max"
        compiles(distances(sizes), x * sizes, 4)
    else:
        wanted = "scale the features of its inputs to like sizes, as a StandardScaler does"
        assert fault.help == wanted
        compiles(distances(sizes**0), x, 16)


def compiles(proto: Any, x: Array, t_max: int) -> None:
    qcompiler.compile(proto, target="reference", calibration=x, t_max=t_max)


@pytest.mark.parametrize("t_max", [16, 64])
def test_outputs_without_room_have_fewer_levels(t_max: int) -> None:
    """Steep channels of a HardSigmoid, of many levels because its largest values are all 1."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 16)).astype(np.float32)
    v = (rng.normal(size=(16, 12)) / 4 * np.logspace(0, 2, 12)).astype(np.float32)
    proto = model("float[N,16] x", "a = MatMul(x, v) y = HardSigmoid(a)", v=v)
    program = qcompiler.compile(proto, target="loihi", calibration=x, t_max=t_max)
    step = (x.max() - x.min()) / 63
    (exact,), (levels,) = (run_onnx(proto, {"x": one}) for one in (x, np.rint(x / step) * step))
    found = np.asarray(program.run(x))
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))
    # one step of 64 levels, and twice that of inputs in 64 levels, as weights are rounded as well
    error, least = (np.mean((y - exact) ** 2, axis=0) ** 0.5 for y in (found, levels))
    assert (error < 1 / 63 / 12**0.5 + 2 * least).all()


def test_slopes_shrink_faster_than_the_excess_where_that_does_not_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Small weights, rounded, stay the same where slopes shrink by no more than the excess."""
    seen: list[float] = []

    def excess(load: MembraneLoad) -> Array:
        seen.append(float(load.slope.max()))
        return np.full(load.slope.shape, 1.0001)

    monkeypatch.setattr(MembraneLoad, "excess", excess)
    proto = model("float[N,4] x", "y = MatMul(x, w)", w=(4, 3))
    data = np.random.default_rng(0).random((20, 4), np.float32)
    with pytest.raises(UnsupportedModel):
        qcompiler.compile(proto, calibration=data, target="reference", proved=True)
    assert seen[-1] < 0.85 * seen[-4]
