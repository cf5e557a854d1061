"""Sums of weights per neuron: padding, the parts of weights, and that they are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcompiler.ir import Constant
from qcompiler.ir.kernels import Array, convolve, largest_magnitude
from qcompiler.ir.snn import Connect, Convolve
from qcompiler.ir.spiking import known_sums
from qcompiler.ir.spiking.synapse import weight_sums


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_sums_are_a_convolution_of_ones(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    kernel, strides, dilations = (tuple(rng.integers(1, 4, rank).tolist()) for _ in range(3))
    pads = tuple(rng.integers(0, 3, 2 * rank).tolist())
    op = Convolve(strides, pads, dilations, 1)
    spans = ((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    space = tuple(span + int(rng.integers(0, 5)) for span in spans)
    weight = rng.integers(-9, 10, (3, 2, *kernel)).astype(np.int8)
    wanted = convolve(np.ones((1, 2, *space)), np.maximum(weight, 0).astype(np.float64), op)[0]
    found = weight_sums(op, weight, (2, *space), "positive")
    assert np.array_equal(np.broadcast_to(found, wanted.shape), wanted)


def test_a_dense_layer_counts_its_synapses() -> None:
    weight = np.array([[0, 3, -2], [0, 0, 1]], np.int8)
    assert weight_sums(Connect(), weight, (3,), "synapses").tolist() == [2, 1]


def test_sums_of_constants_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    constant, calls, plain = Constant("w", np.ones((2, 3), np.int8)), [], known_sums.part_of

    def counted(weight: Array, part: known_sums.Part) -> Array:
        calls.append(part)
        return plain(weight, part)

    monkeypatch.setattr(known_sums, "part_of", counted)
    for _ in range(3):
        assert weight_sums(Connect(), constant.data, (3,)).tolist() == [3, 3]
    assert len(calls) == 1
    free = constant.data.copy()
    assert weight_sums(Connect(), free, (3,)).tolist() == [3, 3]
    free[:] = 2
    assert weight_sums(Connect(), free, (3,)).tolist() == [6, 6]


def test_kept_sums_go_with_their_weights() -> None:
    constant, before = Constant("w", np.ones((2, 3), np.int8)), len(known_sums._known)
    weight_sums(Connect(), constant.data, (3,))
    assert len(known_sums._known) == before + 1
    del constant
    assert len(known_sums._known) == before


def test_the_least_integer_of_8_bits_is_large() -> None:
    """`np.abs` leaves -128 as it is, so that limits of 127 would hold."""
    assert largest_magnitude(np.array([-128, 127], np.int8)) == 128
    assert largest_magnitude(np.array([], np.int8)) == 0
