"""Levels of real numbers: the formula, and that programs taken along compute it to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.backends.loihi.netlist import spike_io
from qcompiler.backends.loihi.netlist.netlist import Source
from qcompiler.ir import Constant, Node, Spikes, Tensor, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode
from qcompiler.ir.spiking.coding import (
    count_saturated,
    decode,
    decoder,
    encode,
    scale_to_levels,
    step_of,
)

CODES = [
    Spikes((3, 40), t_max, scale, zero)
    for t_max in (2, 16, 64, 1 << 16)
    for scale in (1e-30, 0.1, 1 / 3, 1.0, 255.0, 7e8)
    for zero in (0, 1, 7, -3, 1 << 30)
]


def numbers(code: Spikes) -> Array:
    """Real numbers from below to above the range of a code, many of them halfway between levels."""
    rng = np.random.default_rng(code.t_max)
    levels = rng.integers(-2 * code.t_max, 3 * code.t_max, (5, *code.shape)) / 2 - code.zero
    found: Array = (levels + rng.choice([0, 1e-3, 0.3], levels.shape)) * code.scale
    return found


def test_huge_numbers_are_cut() -> None:
    """Without a warning, which would be an error here."""
    code = Spikes((2,), 16, 0.1, 3)
    huge = np.array([[3e38, -3e38], [1e300, -1e300]])
    source = Source("s", "x", code.shape, code.t_max, code.scale, code.zero, 0)
    assert encode(code, huge).tolist() == [[15, 0]] * 2
    assert spike_io.encode_levels(source, huge).tolist() == [[15, 0]] * 2


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_programs_encode_as_we_do(dtype: str) -> None:
    for code in CODES:
        x = numbers(code).astype(dtype)
        source = Source("s", "x", code.shape, code.t_max, code.scale, code.zero, 0)
        found = encode(code, x)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(spike_io.encode_levels(source, x), found, err_msg=str(code))


def test_levels_round_down_and_stay_in_range() -> None:
    for code in CODES:
        x = numbers(code)
        between, levels = scale_to_levels(code, x), encode(code, x)
        assert between.dtype == np.float32
        inside = (between >= 0) & (between < code.t_max)
        np.testing.assert_array_equal(levels[inside], np.floor(between[inside]))
        assert not levels[between < 0].any() and (levels[between >= code.t_max] == code.top).all()
        assert count_saturated(code, x) == np.count_nonzero(~inside)


def test_decoding_is_the_way_back() -> None:
    code = Spikes((16,), 16, 0.3, 5)
    levels = np.arange(16, dtype=np.uint8)
    for precision in (np.float32, np.float64):
        real = decode(code, levels, precision)
        assert real.dtype == np.float32
        np.testing.assert_array_equal(encode(code, real), levels)
    np.testing.assert_array_equal(step_of(code, 3, step_of(code, 3, levels)), levels)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rescaled_outputs_are_decoded_alike_from_every_type_of_levels(dtype: type) -> None:
    rng, shape = np.random.default_rng(1), (40,)
    offset, factor = (Constant(n, rng.normal(size=shape).astype(np.float32)) for n in "of")
    code = Spikes(shape, 256, 1 / 255, 3)
    node = Node(Decode(), (Value("q", code), offset, factor), Value("y", Tensor(shape)))
    levels = rng.integers(0, 256, (100, *shape))
    exact = ((levels - 3) * code.scale - offset.data.astype(np.float64)) * factor.data
    np.testing.assert_array_equal(decoder(node)(levels.astype(dtype)), exact.astype(np.float32))
