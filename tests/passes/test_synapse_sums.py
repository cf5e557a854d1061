"""Sums of spikes in 8-bit integers are those in single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.passes.calibration.synapse_sums import SynapseSum

PLANE = Convolve((1, 1), (1, 1, 1, 1), (1, 1))
STRIDED = Convolve((2, 1), (0, 1, 2, 1), (1, 2))
LINE = Convolve((1,), (2, 0), (1,))
GROUPS = Convolve((1, 1), (1, 1, 1, 1), (1, 1), 2)
CASES: list[tuple[tuple[int, ...], list[tuple[Synapse, tuple[int, ...]]]]] = [
    ((6, 5, 7), [(PLANE, (6, 6, 3, 3)), (Relay(), (6, 1, 1))]),
    ((3, 9, 9), [(STRIDED, (4, 3, 3, 2))]),
    ((5, 11), [(LINE, (2, 5, 3))]),
    ((4, 3), [(Connect(), (8, 12)), (Connect(), (8, 12))]),
    ((4, 5, 5), [(GROUPS, (4, 2, 3, 3))]),
    ((6, 5, 7), [(PLANE, (6, 6, 3, 3)), (Relay(), (6, 1, 1)), (PLANE, (6, 6, 3, 3))]),
    ((12,), [(Connect(), (8, 12)), (Connect(), (8, 12))]),
    ((5,), [(Relay(), (5,)), (Connect(), (5, 5))]),
]


@pytest.mark.parametrize(("shape", "synapses"), CASES)
@pytest.mark.parametrize("largest", [127, 300])
def test_integer_sums_are_exact(shape: tuple[int, ...], synapses: Any, largest: int) -> None:
    rng = np.random.default_rng(largest)
    made = [(op, rng.integers(-largest, largest + 1, size)) for op, size in synapses]
    spikes = [rng.random((7, *shape)) < 0.4 for _ in made]
    found = SynapseSum(made, spikes, [1] * len(made))
    plain = SynapseSum(made, spikes)
    alone = not any(isinstance(op, Convolve) and op.groups > 1 for op, _ in made)
    assert (found.kind is np.uint8) == (alone and largest == 127)
    np.testing.assert_array_equal(found(spikes), plain(spikes))
    apart = (SynapseSum([one], [x])([x]) for one, x in zip(made, spikes, strict=True))
    np.testing.assert_array_equal(found(spikes), sum(apart))
    assert (found.neurons, found.products) == (plain.neurons, plain.products)


@pytest.mark.parametrize("top", [1, 100])
def test_sources_of_the_same_weights_are_one(top: int) -> None:
    rng = np.random.default_rng(0)
    weight, other = (rng.integers(-9, 10, (6, 6, 3, 3)) for _ in range(2))
    arrays = [rng.random((7, 6, 5, 7)) < 0.4 for _ in range(4)]
    weights = [weight, other, weight, weight]
    found = SynapseSum([(PLANE, one) for one in weights], arrays, [top] * 4)
    assert found.kind is (np.uint8 if top == 1 else np.float32)
    assert [node.shape[1] for node in found.session.get_inputs()] == [12]
    apart = [SynapseSum([(PLANE, w)], [x])([x]) for w, x in zip(weights, arrays, strict=True)]
    np.testing.assert_array_equal(found(arrays), sum(apart))
