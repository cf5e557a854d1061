"""Scales of channels follow what calibration can tell of them, not the chance of few frames."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.tensor.steady_tops import SteadyTops

LEVELS = 64


def tops(values: Array, batches: int = 1) -> tuple[Array, Array]:
    """Ends of channels, those of each alone and steady ones."""
    alone, steady = (kind(len(values)) for kind in (ChannelSample, SteadyTops))
    for batch in np.array_split(values, batches):
        alone.add(batch)
        steady.add(batch)
    return alone.tops(LEVELS), steady.tops(LEVELS)


def rectified(frames: int, channels: int, *space: int) -> Array:
    found: Array = np.maximum(np.random.default_rng(0).normal(size=(frames, channels, *space)), 0)
    return found


def test_alike_channels_are_drawn_together() -> None:
    """These differ by chance alone: the low ones go all the way, the high ones half of it."""
    alone, steady = tops(rectified(8, 100))
    speaking = alone > 0
    middle = np.exp(np.log(alone[speaking]).mean())
    assert steady[speaking].min() > 0.99 * middle
    assert steady.max() < np.sqrt(1.01 * middle * alone.max())


def test_ends_keep_their_order_around_the_middle() -> None:
    for values in (rectified(8, 20), rectified(200, 20) * np.geomspace(1, 100, 20)):
        alone, steady = (np.log(ends) for ends in tops(values))
        middle, least = alone.mean(), 0.002  # of rounding to 10 bits
        assert (abs(steady - middle) <= abs(alone - middle) + least).all()
        assert ((steady - middle) * (alone - middle) >= -least).all()


@pytest.mark.parametrize("shape", [(2000, 20), (20, 20, 30, 30)])
def test_channels_that_data_tell_apart_keep_their_ends(shape: tuple[int, ...]) -> None:
    scales = np.geomspace(1, 100, 20).reshape(20, *[1] * (len(shape) - 2))
    alone, steady = tops(rectified(*shape) * scales)
    np.testing.assert_allclose(steady, alone, rtol=0.05)


def test_one_frame_tells_only_places_apart() -> None:
    """Of a vector it tells nothing: all ends are alike."""
    _, steady = tops(np.geomspace(1, 100, 11)[None])
    np.testing.assert_allclose(steady, 10, rtol=0.01)
    alone, steady = tops(rectified(1, 20, 50, 50) * np.geomspace(1, 100, 20)[:, None, None])
    np.testing.assert_allclose(steady, alone, rtol=0.05)


def test_batches_do_not_matter() -> None:
    values = rectified(21, 30)
    for batches in (4, 21):
        np.testing.assert_array_equal(tops(values)[1], tops(values, batches)[1])


def test_silent_channels_stay_silent() -> None:
    values = rectified(20, 5)
    values[:, 2] = 0
    assert tops(values)[1][2] == 0
    assert not tops(np.zeros((20, 5)))[1].any()
