"""Where the digits of an input hold down the weights of small ones, they take parallel synapses."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir import Spikes
from qcompiler.ir.snn import Connect
from qcompiler.passes.quantization.integer_layer import split_weights
from qcompiler.passes.quantization.real_layer import LinearSynapse, RealLayer
from qcompiler.passes.quantization.slopes import ratios_of

BASE, DIGITS = 11, 3


@pytest.mark.parametrize(("fan", "most"), [(40, 240), (100, 300)])
def test_small_layers_take_at_most_twice_the_synapses(fan: int, most: int) -> None:
    weight = np.random.default_rng(0).normal(size=(8, fan)).astype(np.float32)
    one = LinearSynapse(Connect(), weight, np.zeros(8))
    real = RealLayer((one,) * DIGITS, np.zeros(8), np.ones(1))
    codes = tuple(Spikes((fan,), BASE, BASE**place * 0.01, 0) for place in (2, 1, 0))
    parts = [ratio.parts for ratio in ratios_of(real, codes, Spikes((8,), 32, 0.3, 0), 127)]
    assert parts == sorted(parts, reverse=True)
    assert DIGITS * fan <= fan * sum(parts) <= most
    assert (parts[0] > 1) == (fan < 100)


@pytest.mark.parametrize("fan", [20, 40])
def test_fine_weights_are_as_precise_as_levels(fan: int) -> None:
    """The error of n rounded weights times their levels is at most that of one level."""
    weight = np.random.default_rng(0).normal(size=(8, fan)).astype(np.float32)
    real = RealLayer((LinearSynapse(Connect(), weight, np.zeros(8)),), np.zeros(8), np.ones(1))
    source, result = Spikes((fan,), 64, 0.01, 0), Spikes((8,), 64, 0.02, 0)
    for fine in (False, True):
        (ratio,) = ratios_of(real, (source,), result, 127, fine)
        slope = 127 * ratio.parts / float(ratio.largest.max())
        assert (slope**2 >= fan * source.top**2 / 3) == fine
    whole = ratio.rounded(np.full((8, 1), np.floor(slope)))
    assert len(list(split_weights(real.branches, (whole,), 127, 2))) == 2


def test_large_weights_take_a_synapse_in_units_and_one_more() -> None:
    """Both have the sign of the weight, so that no step has more input than from the sum."""
    weight = np.array([[-8128, 130, 5, -128, 1100, 0]])
    layer = LinearSynapse(Connect(), weight, np.zeros(1))
    coarse, fine = (part.weight for part in split_weights((layer,), (weight,), 127))
    np.testing.assert_array_equal(coarse + fine, weight)
    assert not np.any(coarse % 128) and np.abs(coarse).max() <= 127 * 128
    assert np.abs(fine).max() <= 127
    assert np.all(coarse * weight >= 0) and np.all(fine * weight >= 0)
