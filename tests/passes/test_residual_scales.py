"""Values that meet in a residual sum keep scales of their own, through linear bottlenecks."""

from __future__ import annotations

from typing import Any

import numpy as np

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.passes.calibration.data import run
from tests.support.onnx_models import Array, model, run_onnx
from tests.support.random_networks import compiled

BODY = "b = Conv(x, v) a = Conv(b, u) h = Relu(a) c = Conv(h, d) s = Add(b, c) y = Conv(s, w)"
STREAM = np.array([1, 8, 0.5, 2], np.float32)
ADDED = np.array([6, 1, 4, 1], np.float32)
SHAPE = (3, 4, 4)


def network() -> tuple[Any, Array]:
    """A stream of unlike channels, and a block behind it that adds to other channels most."""
    rng = np.random.default_rng(1)
    shapes = {"v": (4, 3, 1, 1), "u": (8, 4, 1, 1), "d": (4, 8, 1, 1), "w": (2, 4, 1, 1)}
    weights: dict[str, Any] = {}
    for name, shape in shapes.items():
        rows = rng.normal(size=shape).reshape(shape[0], -1)
        weights[name] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).reshape(shape)
    weights["v"] *= STREAM[:, None, None, None]
    weights["u"] /= STREAM[:, None, None]
    weights["d"] *= ADDED[:, None, None, None]
    weights = {name: weight.astype(np.float32) for name, weight in weights.items()}
    proto = model("float[N,3,4,4] x", BODY, **weights)
    return proto, rng.normal(size=(128, *SHAPE)).astype(np.float32)


def deviations(graph: Graph, x: Array) -> dict[str, Array]:
    """The spread of each channel of the stream and of the sum, which may have offsets."""
    made = {node.result.name for node in graph.nodes}
    names = {name: name if name in made else f"{name}:centred" for name in ("b", "s")}
    parts = list(run(graph, (x,), list(names.values())))
    whole = {name: np.concatenate([part[now] for part in parts]) for name, now in names.items()}
    return {name: array.std(axis=(0, 2, 3)) for name, array in whole.items()}


def test_stream_and_sum_have_scales_of_their_own() -> None:
    proto, x = network()
    graph = compiled(import_model(proto).graph, "fold-linear", calibration=(x,))
    equal = compiled(graph, "equalize{effort=1}", calibration=(x,), t_max=16)
    before, after = deviations(graph, x), deviations(equal, x)
    for name in ("b", "s"):
        assert before[name].max() > 4 * before[name].min()
        assert after[name].max() < 1.5 * after[name].min()
    taken = before["b"] / after["b"] / (before["s"] / after["s"])
    assert taken.max() > 2 * taken.min()  # one scale for both would suit neither
    (exact,) = evaluate(graph, x)
    bound = 1e-5 * float(np.abs(exact).max())
    np.testing.assert_allclose(evaluate(equal, x)[0], exact, rtol=0, atol=bound)


def test_the_sum_of_levels_is_exact_in_every_engine() -> None:
    proto, x = network()
    program = qcompiler.compile(proto, target="loihi", calibration=x, t_max=32)
    (exact,) = run_onnx(proto, {"x": x})
    found = program.run(x)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found[:4], program.run(x[:4], engine="steps"))
    # three roundings, each to 32 levels of ten deviations: 0.09 deviations each
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.27 * exact.std()
