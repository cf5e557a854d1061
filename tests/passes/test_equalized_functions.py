"""Functions and products whose channels have unlike ranges: gains, knots and copies of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate, parse, show
from qcompiler.ir.ann import Function, Multiply
from qcompiler.passes.activations.segments import fit
from qcompiler.passes.calibration.data import run
from tests.support.onnx_models import Array, model, run_onnx
from tests.support.random_networks import compiled

HARD_SWISH, SWISH = "x x 6 / 0.5 + 0 max 1 min *", "x x sigmoid *"
UNLIKE = np.array([1, 8, 0.3, 2], np.float32)
BODIES = {
    "HardSwish": "a = Conv(x, v) h = HardSwish(a) y = Conv(h, w)",
    "SiLU": "a = Conv(x, v) s = Sigmoid(a) h = Mul(a, s) y = Conv(h, w)",
    "pool": "a = Conv(x, v) e = Elu(a) h = MaxPool<kernel_shape=[2,2]>(e) y = Conv(h, w)",
    "residual": "a = Conv(x, v) h = HardSwish(a) b = Conv(h, d) c = Add(b, h) y = Conv(c, w)",
    "gate": "a = Conv(x, v) h = HardSwish(a) m = GlobalAveragePool(h) e = Conv(m, d) "
    "g = HardSigmoid(e) p = Mul(h, g) y = Conv(p, w)",
    "two functions": "a = Conv(x, v) h = HardSwish(a) b = Conv(x, d3) t = Tanh(b) p = Mul(h, t) "
    "y = Conv(p, w)",
}


def network(body: str) -> tuple[Any, Array]:
    rng = np.random.default_rng(0)
    shapes = {"v": (4, 3, 1, 1), "d": (4, 4, 1, 1), "d3": (4, 3, 1, 1), "w": (2, 4, 1, 1)}
    weights = {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    weights["v"] *= UNLIKE[:, None, None, None]
    used: dict[str, Any] = {name: array for name, array in weights.items() if f"{name})" in body}
    return model("float[N,3,4,4] x", body, **used), rng.normal(size=(64, 3, 4, 4)).astype(
        np.float32
    )


@pytest.mark.parametrize("name", BODIES)
def test_gains_keep_the_function(name: str) -> None:
    proto, x = network(BODIES[name])
    graph = compiled(
        import_model(proto, allow_products=True).graph, "fold-linear", calibration=(x,)
    )
    equal = compiled(graph, "equalize{effort=1}", calibration=(x,), t_max=16)
    scaled = [n for n in equal.nodes if isinstance(n.op, Function | Multiply) and n.arrays]
    assert scaled and all((node.arrays[0] > 0).all() for node in scaled)
    (exact,) = evaluate(graph, x)
    close: dict[str, Any] = {"rtol": 0, "atol": 1e-5 * float(np.abs(exact).max())}
    np.testing.assert_allclose(evaluate(equal, x)[0], exact, **close)
    written = np.concatenate([part["y"] for part in run(equal, (x,), ["y"])])
    np.testing.assert_allclose(written, exact, **close)
    arrays = {constant.name: constant.data for constant in equal.constants}
    assert parse(show(equal), arrays) == equal


@pytest.mark.parametrize("name", BODIES)
def test_levels_of_all_channels_suit(name: str) -> None:
    proto, x = network(BODIES[name])
    program = qcompiler.compile(proto, target="loihi", calibration=x, t_max=64, allow_products=True)
    (exact,) = run_onnx(proto, {"x": x})
    found = program.run(x)
    assert isinstance(found, np.ndarray)
    # some roundings to 64 levels of a range of ten deviations, 0.05 each at the worst of channels
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.1 * exact.std()
    np.testing.assert_array_equal(found[:4], program.run(x[:4], engine="steps"))


def test_bounds_without_data_have_the_gain() -> None:
    proto, x = network(BODIES["two functions"])
    graph = compiled(
        import_model(proto, allow_products=True).graph, "fold-linear", calibration=(x,)
    )
    equal = compiled(graph, "equalize{effort=1}", calibration=(x,), t_max=16)
    ranged = compiled(equal, "normalize{low=-4 high=4}")
    values = {node.result.name: node.result.type for node in ranged.nodes}
    for part in run(equal, (np.clip(x, -4, 4),), ["h", "p"]):
        for name, array in part.items():
            low, high = values[name].range  # type: ignore[union-attr,misc]
            assert low <= array.min() and array.max() <= high


def test_bends_are_knots() -> None:
    found = fit(HARD_SWISH, (-6.0, 7.0), 0.13)
    assert np.isclose(found.knots[:, None], [-3, 3], atol=1e-6).any(axis=0).all()
    assert np.count_nonzero(found.slopes) <= 5
    assert found.error <= 0.13
    assert fit("x abs", (-1.0, 2.0), 0.01).error < 1e-9


@pytest.mark.parametrize("domain", [(-3.01, 7.0), (-6.0, -2.99), (2.99, 3.02), (-1.0, 1.0)])
def test_bends_near_an_end_take_no_segment(domain: tuple[float, float]) -> None:
    narrowest = (domain[1] - domain[0]) / 20
    found = fit(HARD_SWISH, domain, 0.05, narrowest)
    assert np.diff(found.knots).min() >= 0.99 * narrowest


def test_many_bends_are_none() -> None:
    assert len(fit("x 400 * sin abs", (-1.0, 1.0), 0.1).knots) <= 65


@pytest.mark.parametrize("function", [HARD_SWISH, SWISH])
def test_few_segments_need_no_population_of_their_variable(function: str) -> None:
    body = {HARD_SWISH: "h = HardSwish(a)", SWISH: "s = Sigmoid(a) h = Mul(a, s)"}[function]
    weights: dict[str, Any] = {"v": (40, 8), "w": (8, 2)}
    proto = model("float[N,40] x", f"a = MatMul(x, v) {body} y = MatMul(h, w)", **weights)
    x = np.random.default_rng(0).normal(size=(64, 40)).astype(np.float32) / 6
    program = qcompiler.compile(proto, calibration=x, t_max=16)
    assert "a" not in {one.name for one in program.report().populations}
