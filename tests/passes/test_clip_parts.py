"""Clips and max pools behind leaky ReLUs move into the parts, and no sum is a population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.ir.ann import Add, Clip, MaxPool
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import compiled
from tests.support.rewrites import FOLDED

IMAGES = 3 * np.random.default_rng(0).standard_normal((50, 4, 5, 5)).astype(np.float32)
LEAKY = "a = Conv(x, W) l = LeakyRelu(a)"
EACH = "a = Conv(x, W) l = PRelu(a, slope)"
SLOPES = np.array([0.1, 0.5, 0.25], np.float32).reshape(3, 1, 1)


def folded(body: str, **bounds: Any) -> tuple[Any, Graph]:
    weights = np.random.default_rng(1).standard_normal((3, 4, 1, 1)).astype(np.float32)
    constants: dict[str, Any] = {name: np.float32(value) for name, value in bounds.items()}
    given = {"W": weights, "V": (2, 3, 1, 1), "slope": SLOPES, **constants}
    proto = model("float[N,4,5,5] x", body, **given)
    return proto, compiled(import_model(proto).graph, FOLDED)


def clips(graph: Graph) -> set[tuple[float | None, float | None]]:
    found = (node.op for node in graph.nodes if isinstance(node.op, Clip))
    return {(clip.low, clip.high) for clip in found}


@pytest.mark.parametrize(
    ("body", "bounds", "ends"),
    [
        (f"{LEAKY} m = Max(l, low) y = Conv(m, V)", {"low": -0.5}, {(0, None), (-50, 0)}),
        (f"{LEAKY} m = Min(l, high) y = Conv(m, V)", {"high": 2}, {(0, 2), (None, 0)}),
        (
            f"{LEAKY} m = Clip(l, low, high) y = Conv(m, V)",
            {"low": -0.25, "high": 6},
            {(0, 6), (-25, 0)},
        ),
        (
            f"{EACH} m = Clip(l, low, high) y = Conv(m, V)",
            {"low": -0.5, "high": 1},
            {(0, 1), (-1, 0)},
        ),
    ],
)
def test_bounds_move_into_the_parts(
    body: str, bounds: dict[str, float], ends: set[tuple[float | None, float | None]]
) -> None:
    proto, graph = folded(body, **bounds)
    found = clips(graph)
    assert {tuple(None if e is None else round(e, 4) for e in one) for one in found} == ends
    (real,) = run_onnx(proto, {"x": IMAGES})
    np.testing.assert_allclose(evaluate(graph, IMAGES)[0], real, 1e-4, 1e-4)
    program = qcompiler.compile(proto, calibration=IMAGES, target="reference", slices=1)
    names = [row.name for row in program.report().populations if row.kind == "integrate"]
    assert sum(":bounded" in name or "l." in name for name in names) == 2
    assert "m" not in names and "l" not in names


@pytest.mark.parametrize(
    ("body", "bounds"),
    [
        (f"{LEAKY} m = Clip(l, low, high) y = Conv(m, V)", {"low": 0.5, "high": 2}),
        (f"{LEAKY} m = Relu(l) y = Conv(m, V)", {}),
        (f"{LEAKY} m = Max(l, low) s = Add(m, l) y = Conv(s, V)", {"low": -0.5}),
        (
            "a = Conv(x, W) r = Relu(a) b = Conv(x, W) q = Relu(b) l = Sub(r, q)"
            " m = Max(l, low) y = Conv(m, V)",
            {"low": -0.5},
        ),
    ],
)
def test_other_clips_stay(body: str, bounds: dict[str, float]) -> None:
    proto, graph = folded(body, **bounds)
    (real,) = run_onnx(proto, {"x": IMAGES})
    np.testing.assert_allclose(evaluate(graph, IMAGES)[0], real, 1e-4, 1e-4)
    sources = [graph.producer(n.operands[0]) for n in graph.nodes if isinstance(n.op, Clip)]
    assert any(source and isinstance(source.op, Add) for source in sources)


POOL = "m = MaxPool <kernel_shape = [3,3], strides=[2,2], pads=[1,1,0,0]> (l) y = Conv(m, V)"


@pytest.mark.parametrize("body", [LEAKY, EACH])
def test_max_pools_move_into_the_parts(body: str) -> None:
    proto, graph = folded(f"{body} {POOL}")
    pools = [node for node in graph.nodes if isinstance(node.op, MaxPool)]
    sources = [graph.producer(node.operands[0]) for node in pools]
    assert [source and type(source.op) for source in sources] == [Clip, Clip]
    (real,) = run_onnx(proto, {"x": IMAGES})
    np.testing.assert_allclose(evaluate(graph, IMAGES)[0], real, 1e-4, 1e-4)
    program = qcompiler.compile(proto, calibration=IMAGES, target="reference", slices=1)
    names = [row.name for row in program.report().populations if row.kind == "integrate"]
    assert {name.split(":")[0] for name in names} == {"l.above", "l.below", "y"}
    found = program.run(IMAGES)
    assert np.sqrt(np.mean(np.square(found - real))) < 0.15 * real.std()
    steps = program.run(IMAGES[:4], engine="steps")
    np.testing.assert_array_equal(steps, found[:4])


@pytest.mark.parametrize("slopes", [(0.1, -0.5, 0.25), np.linspace(0.1, 0.4, 75)])
def test_max_pools_stay_behind_other_slopes(slopes: Any) -> None:
    """Falling below zero, or not the same all over a channel."""
    slope = np.array(slopes, np.float32).reshape(3, *(1, 1) if len(slopes) == 3 else (5, 5))
    proto, graph = folded(f"{EACH} {POOL}", slope=slope)
    (pool,) = (node for node in graph.nodes if isinstance(node.op, MaxPool))
    source = graph.producer(pool.operands[0])
    assert source is not None and isinstance(source.op, Add)
    (real,) = run_onnx(proto, {"x": IMAGES})
    np.testing.assert_allclose(evaluate(graph, IMAGES)[0], real, 1e-4, 1e-4)
