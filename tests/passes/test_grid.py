"""Grids that numbers lie on, as multiples of 0.1 do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.passes.calibration.grid import grid_of


@pytest.mark.parametrize(
    ("places", "step"),
    [
        (range(11), 0.1),
        ((0, 3, 5), 0.1),
        ((-40, -7, 12), 0.05),
        ((100, 101, 107), 0.01),
        (range(256), 1 / 255),
    ],
)
def test_multiples_of_a_number_in_single_precision(places: Any, step: float) -> None:
    numbers = (np.array(places) * step).astype(np.float32)
    grid = grid_of(numbers, True)
    assert grid is not None
    assert grid.span == max(places) - min(places)
    np.testing.assert_allclose([grid.low, grid.step], [min(places) * step, step], 1e-6)
    assert grid_of(numbers, False) is None


def test_what_has_no_grid() -> None:
    rng = np.random.default_rng(0)
    for numbers in (rng.normal(size=300), np.full(4, 0.5), np.array([0, 1e-3, 1.0001])):
        assert grid_of(numbers, True) is None
    assert grid_of(np.array([3, 7, 5]), False) == (3.0, 1.0, 4)
