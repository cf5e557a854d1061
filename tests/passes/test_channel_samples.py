"""Samples of channels: effort 2 looks at more values, so that the ranges hold for rare peaks."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample

IMAGES, CHANNELS, LEVELS = 64, 8, 16


def peaky() -> Array:
    """Mostly zero, with a few large values in each channel."""
    rng = np.random.default_rng(3)
    values = rng.exponential(size=(IMAGES, CHANNELS, 32, 32)) ** 2
    return np.where(rng.random(values.shape) < 0.02, values, 0).astype(np.float32)


def tops(images: Array, effort: int) -> Array:
    sample = ChannelSample(len(images), effort)
    sample.add(images)
    return sample.tops(LEVELS)


def rounding_error(images: Array, tops: Array) -> float:
    step = tops.reshape(-1, 1, 1) / (LEVELS - 1)
    rounded = np.rint(images / step).clip(0, LEVELS - 1) * step
    return float(np.square(rounded - images, dtype=np.float64).sum())


def test_more_values_give_ranges_with_less_error() -> None:
    x = peaky()
    errors = [rounding_error(x, tops(x, effort)) for effort in (1, 2)]
    assert errors[1] < errors[0]


@pytest.mark.parametrize(("effort", "kept"), [(1, 4096), (2, 32768)])
def test_a_sample_is_spread_over_all_images(effort: int, kept: int) -> None:
    sample = ChannelSample(IMAGES, effort)
    numbered = np.broadcast_to(np.arange(IMAGES).reshape(-1, 1, 1, 1), peaky().shape)
    sample.add(numbered.astype(np.float32))
    (part,) = sample.parts
    assert part.shape == (CHANNELS, kept)
    assert all(len(np.unique(row)) == IMAGES for row in part)
