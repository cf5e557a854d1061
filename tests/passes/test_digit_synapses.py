"""Where the digits of an input hold down the weights of small ones, they take parallel synapses."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir import Spikes
from qcompiler.ir.snn import Connect
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
