"""Samples of channels: the range of each has the least squared error on many of its values."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample

IMAGES, CHANNELS, LEVELS = 64, 8, 16
SHARES = np.linspace(1, 0.025, 40)  # of the highest value: the ends that are tried


def peaky(side: int = 8) -> Array:
    """Mostly zero, with a few large values in each channel, which differ in scale."""
    rng = np.random.default_rng(3)
    values = rng.exponential(size=(IMAGES, CHANNELS, side, side)) ** 2
    values *= 10.0 ** np.arange(-4, CHANNELS - 4).reshape(-1, 1, 1)
    return np.where(rng.random(values.shape) < 0.1, values, 0).astype(np.float32)


def sampled(*batches: Array, rare: bool = True) -> ChannelSample:
    sample = ChannelSample(sum(map(len, batches)), rare)
    for batch in batches:
        sample.add(batch)
    return sample


def errors(images: Array, tops: Array, levels: int) -> Array:
    """The squared error of rounding each channel in the range from 0 to its top."""
    step = tops.reshape(-1, 1, 1) / (levels - 1)
    rounded = np.rint(images / np.where(step > 0, step, 1)).clip(0, levels - 1) * step
    found: Array = np.square(rounded - images, dtype=np.float64).sum(axis=(0, 2, 3))
    return found


@pytest.mark.parametrize("side", [4, 8])  # with a quarter of the values, these are not counted
@pytest.mark.parametrize("levels", [2, 16, 64, 256])
def test_ranges_have_the_least_squared_error(levels: int, side: int) -> None:
    x = peaky(side)
    highest = x.max(axis=(0, 2, 3)).astype(np.float64)
    least = np.min([errors(x, highest * share, levels) for share in SHARES], axis=0)
    # bins, of which at least 2,048 reach up to the highest value, move values by 1/16 of a level
    # at most, and ends are rounded to 10 bits
    assert np.all(errors(x, sampled(x).tops(levels), levels) <= 1.02 * least)


def test_ranges_do_not_depend_on_the_order_of_batches() -> None:
    rows = np.sort(peaky(16), axis=0)  # images of higher values come later: bins grow
    for batches in (rows[:, None], rows[::-1, None], rows.reshape(4, 16, *rows.shape[1:])):
        np.testing.assert_array_equal(sampled(*batches).tops(LEVELS), sampled(rows).tops(LEVELS))


def test_negative_values_count_as_zero() -> None:
    x = peaky()
    below = np.where(x > 0, x, np.float32(-7))
    np.testing.assert_array_equal(sampled(below).tops(LEVELS), sampled(x).tops(LEVELS))
    np.testing.assert_array_equal(sampled(0 * x).tops(LEVELS), np.zeros(CHANNELS))


def test_peaks_of_one_image_count() -> None:
    """One value in 1,024, all of them in one image, is up to 8 times as high as others."""
    rng, channels = np.random.default_rng(5), 32
    x = rng.random((IMAGES, channels, 32, 32), np.float32)
    x[9] *= np.where(rng.random(x[9].shape) < 1 / 16, 8, 1)
    found = errors(x, sampled(x).tops(LEVELS), LEVELS)
    tops = [np.full(channels, x.max() * share) for share in SHARES]
    least = np.min([errors(x, top, LEVELS) for top in tops], axis=0)
    # a sample of half of the values holds 32 of these peaks; of 4,096 values, with 4 of them, the
    # error is an eighth more than the least
    assert float(np.mean(found / least)) <= 1.05


@pytest.mark.parametrize(("rare", "kept"), [(False, 1 << 12), (True, 1 << 15)])
def test_a_sample_is_spread_over_all_images(rare: bool, kept: int) -> None:
    numbered = np.arange(IMAGES, dtype=np.float32).reshape(-1, 1, 1, 1)
    sample = sampled(np.broadcast_to(numbered, (IMAGES, CHANNELS, 32, 32)), rare=rare)
    assert sample.each * IMAGES == kept
    np.testing.assert_array_equal(sample.ends(), np.tile([[0.0], [IMAGES - 1]], CHANNELS))
