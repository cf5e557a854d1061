"""Products with shifted rows are convolutions, whatever pads and dilations are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.ir import kernels, shifted_rows
from qcompiler.ir.kernels import Array, convolve, windows
from qcompiler.ir.ops import Sliding
from qcompiler.ir.shifted_rows import convolve_rows, suits
from qcompiler.ir.snn import Convolve


def by_windows(image: Array, weight: Array, op: Sliding) -> Array:
    found: Array = np.einsum("bcyxij,ocij->boyx", windows(image, op, weight.shape[2:], 0), weight)
    return found


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("sums", [1, 1 << 15])
def test_rows_give_the_sums_of_windows(
    seed: int, sums: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shifted_rows, "_SUMS", sums)
    rng = np.random.default_rng(seed)
    kernel, dilations = rng.integers(1, 4, 2), tuple(map(int, rng.integers(1, 3, 2)))
    pads = tuple(map(int, rng.integers(0, 4, 4)))
    channels, outputs = map(int, rng.integers(1, 6, 2))
    space = rng.integers(1, 5, 2) + (kernel - 1) * dilations  # fits without pads
    op = Convolve((1, 1), pads, dilations)
    image = rng.integers(-9, 10, (3, channels, *space)).astype(np.float64)
    weight = rng.integers(-9, 10, (outputs, channels, *kernel)).astype(np.float32)
    np.testing.assert_array_equal(convolve_rows(image, weight, op), by_windows(image, weight, op))


def test_convolutions_in_double_precision_are_products_of_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[Any] = []

    def spied(image: Array, weight: Array, op: Sliding) -> Array:
        called.append(image.dtype)
        return convolve_rows(image, weight, op)

    monkeypatch.setattr(kernels, "convolve_rows", spied)
    rng = np.random.default_rng(0)
    image = rng.integers(-9, 10, (2, 16, 32, 32)).astype(np.float64)
    weight = rng.integers(-9, 10, (16, 16, 3, 3)).astype(np.float64)
    op, strided = (Convolve((step, step), (1, 1, 1, 1), (1, 1)) for step in (1, 2))
    for kind in (np.float64, np.float32):
        for given in (op, strided):
            found = convolve(image.astype(kind), weight.astype(kind), given)
            np.testing.assert_array_equal(found, by_windows(image, weight, given))
    assert called == [np.float64]
    assert not suits(image, weight[:, :, :1, :1], op)  # nothing to copy
    assert not suits(image[:, :, :2, :2], weight, op)  # zeros take more than they save
