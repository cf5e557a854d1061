"""Errors of levels alone, over ranges of calibration data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qcompiler.comparison.calibrated_levels import CalibratedWalk, least_error
from qcompiler.comparison.errors.level_errors import LevelCounts
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph
from tests.support.onnx_models import model

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(3)


def graph_of(inputs: str, body: str, **weights: Any) -> Graph:
    return replace(import_model(model(inputs, body, **weights)).graph, output_names=())


def test_values_beyond_the_calibrated_range_are_cut() -> None:
    graph = graph_of("float[N,2] x", "y = MatMul(x, w)", w=np.eye(2))
    x = RNG.standard_normal((50, 2)).astype(np.float32)
    walk = CalibratedWalk(graph, LevelCounts({"x": 9}, 5, 9)).calibrated((x,))
    (found,) = walk.run((2 * x,))
    np.testing.assert_allclose([found.min(0), found.max(0)], [x.min(0), x.max(0)], 1e-6)


def test_ranges_are_those_of_values_that_are_not_rounded() -> None:
    """Rounded to two levels from 0 to 1, a half would become 0 or 1."""
    graph = graph_of("float[N,1] x, float[N,1] z", "y = Add(x, z)")
    x = np.array([[0], [0.4], [1]], np.float32)
    walk = CalibratedWalk(graph, LevelCounts({"x": 2, "z": 2}, 2, 2)).calibrated((x, x[[1, 2, 1]]))
    low, high = walk.known["y:result"]  # rounded, the sums would be 0, 1 and 1
    np.testing.assert_allclose([low, high], [[[0.4]], [[1.4]]], 1e-6)


def test_a_function_is_constant_beyond_the_calibrated_range_of_its_variable() -> None:
    graph = graph_of("float[N,2] x", "a = MatMul(x, w) y = Sin(a)", w=np.eye(2))
    x = RNG.uniform(-1, 1, (50, 2)).astype(np.float32)
    walk = CalibratedWalk(graph, LevelCounts({"x": 99}, 99, 99)).calibrated((x,))
    (found,) = walk.run((x + 9,))
    np.testing.assert_allclose(found, np.tile(np.sin(x.max(0)), (50, 1)), atol=0.02)


def test_of_the_networks_that_are_tried_the_least_error_counts() -> None:
    """Where one value of many lies far out, a range that cuts it rounds the others less."""
    graph = graph_of("float[N,1] x", "y = Relu(x)")
    x = np.append(RNG.uniform(0, 1, 4999), 30).astype(np.float32).reshape(-1, 1)
    counts, test = LevelCounts({"x": 64}, 64, 64), x[:-1]

    def error(found: Any) -> float:
        return float(np.abs(found[0] - test).max())

    extremes = CalibratedWalk(graph, counts).calibrated((x,))
    found = least_error(graph, counts, (test,), (x,), error)
    assert found is not None
    assert found < error(extremes.run((test,)))
