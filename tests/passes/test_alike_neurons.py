"""Neurons that are driven alike need one look: what exceeds limits stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir.snn import Convolve, Relay
from qcompiler.ir.spiking.input_bounds import Drive, Incoming
from qcompiler.passes.quantization.alike_neurons import distinct
from qcompiler.passes.quantization.calibrated_bounds import CalibratedBounds
from qcompiler.passes.quantization.membrane_limits import Limits, MembraneLoad, per_slope

LIMITS = Limits(255, 1 << 14, 1 << 12, 1 << 23)


@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 2, 2, 0), (0, 0, 0, 0)])
@pytest.mark.parametrize("apart", [False, True])  # rows have biases of their own
def test_loads_are_those_of_all_neurons(pads: tuple[int, ...], apart: bool) -> None:
    rng = np.random.default_rng(0)
    op = Convolve((1, 1), pads, (1, 1))
    size = 9 - 2 + sum(pads) // 2
    layer = Incoming(op, rng.integers(-99, 100, (4, 3, 3, 3)), (3, 9, 9), 15)
    skip = Incoming(Relay(), rng.integers(-99, 100, (4, 1, 1)), (4, size, size), 7)
    slope = rng.integers(1, 300, (4, 1, 1)).astype(float)
    bias = rng.integers(-500, 500, (4, size if apart else 1, 1)).astype(float)
    drive = Drive.of([layer, skip])
    few = distinct(drive, bias, slope)
    borders = 1 + sum(pads) // 2
    if any(pads):
        assert few.lift.shape == (4, size if apart else borders, borders)
    whole, part = (MembraneLoad(d, 15, bias, slope, 16, LIMITS) for d in (drive, few))
    every, some = (per_slope(load.excess(), slope.shape) for load in (whole, part))
    np.testing.assert_array_equal(every, some)
    seen = type(drive.bounds)(*(one.max(axis=(1, 2), keepdims=True) / 3 for one in drive.bounds))
    one, other = (CalibratedBounds.of(seen, 1, load, slope.shape) for load in (whole, part))
    np.testing.assert_array_equal(one.rows, other.rows)
    assert one.margin == other.margin
    np.testing.assert_array_equal(
        per_slope(one.excess, slope.shape), per_slope(other.excess, slope.shape)
    )
