"""Ranges reach where the next value may lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.passes.calibration.histogram import Histogram
from tests.support.onnx_models import model, run_onnx

RNG = np.random.default_rng(0)
PLENTY = 256  # levels

Numbers = np.ndarray[Any, Any]


def seen_of(values: Numbers, levels: int = PLENTY) -> tuple[Histogram, tuple[float, float]]:
    """What was seen of some values, and the range of so many levels."""
    seen = Histogram()
    seen.add(values.astype(np.float32))
    return seen, seen.least_squares(levels)


def beyond(values: Numbers, levels: int = PLENTY) -> tuple[float, float]:
    """How far a range reaches beyond what was seen, at its low and its high end."""
    seen, (low, high) = seen_of(values, levels)
    return seen.low - low, high - seen.high


@pytest.mark.parametrize("frames", [8, 32, 200])
def test_a_normal_tail_goes_on_until_cutting_costs_what_rounding_does(frames: int) -> None:
    """So many deviations: one of the next thousands lies beyond the range, not one of the next."""
    ends = [seen_of(RNG.normal(size=(frames, 64)))[1] for _ in range(20)]
    low, high = np.mean(ends, axis=0)
    assert 3 < -low < 8 and 3 < high < 8


def test_a_range_reaches_farther_for_fewer_frames_and_more_levels() -> None:
    few, many = (RNG.normal(size=(frames, 64)) for frames in (8, 200))
    assert beyond(few)[1] > beyond(many)[1] > 0
    assert beyond(few)[1] > beyond(few, 64)[1] > 0
    assert beyond(many, 16)[1] <= 0


def test_channels_that_are_lower_need_no_reach() -> None:
    """The highest of 64 unlike channels is one of many values, the highest of like ones of few."""
    like = np.maximum(RNG.normal(size=(50, 64)), 0)
    unlike = like * np.geomspace(1, 0.01, 64)
    assert beyond(like, 64)[1] / like.max() > 1.5 * beyond(unlike, 64)[1] / unlike.max()


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(50),
        np.clip(RNG.normal(size=(500, 4)), -1, 1),
        np.repeat([-0.25, 1.5], 50),
        np.arange(20.0),
    ],
    ids=["constant", "clipped", "two values", "integers"],
)
def test_values_that_gather_at_their_ends_and_integers_have_no_tail(values: Numbers) -> None:
    low, high = beyond(values)
    assert low <= 0.03 and high <= 0.03  # so far both ends become levels


def test_many_values_leave_nothing_to_reach_for() -> None:
    """The next of 300,000 lies beyond all too seldom to be worth wider levels."""
    assert max(beyond(RNG.normal(size=(300_000, 1)), 64)) <= 0


def test_one_frame_is_enough_to_guess() -> None:
    assert max(beyond(RNG.normal(size=(1, 64)))) > 1


def test_bounds_of_clips_stay_the_ends() -> None:
    seen = Histogram()
    seen.add(np.clip(RNG.normal(size=(16, 8)), 0, None).astype(np.float32))
    low, high = seen.least_squares(PLENTY, 0.0)
    assert low == 0 and high > seen.high
    assert seen.least_squares(PLENTY, 0.0, seen.high * 1.01)[1] <= seen.high * 1.01


@pytest.mark.parametrize(("effort", "frames"), [(0, 32), (1, 32), (1, 200)])
def test_unseen_frames_hardly_err_more(effort: int, frames: int) -> None:
    """Channels with a scale each are each cut by one of so many frames, unless ranges reach.

    At 64 levels rounding is some 3 % of the spread; cutting was 16 % with 32 frames.
    """
    rng = np.random.default_rng(4)
    w, v = ((rng.normal(size=(n, 16)) / np.sqrt(n)).astype(np.float32) for n in (8, 16))
    proto = model("float[N,8] x", "h = MatMul(x, w) r = Relu(h) y = MatMul(r, v)", w=w, v=v)
    seen, unseen = (rng.normal(size=(n, 8)).astype(np.float32) for n in (frames, 1000))
    given: Any = {"t_max": 64, "target": "reference", "effort": effort}
    program = qcompiler.compile(proto, calibration=seen, **given)
    (wanted,) = run_onnx(proto, {"x": unseen})
    assert np.sqrt(np.mean((program.run(unseen) - wanted) ** 2)) < 0.06 * wanted.std()


def test_outputs_beyond_calibration_saturate_less() -> None:
    """Sums of numbers, each within its range, reach farther in 4,000 samples than in 200."""
    proto = model("float[N,8] x", "y = MatMul(x, w)", w=np.ones((8, 1)))
    rng = np.random.default_rng(1)  # of its own: which tests ran before must not matter
    seen, unseen = (rng.uniform(-1, 1, (n, 8)).astype(np.float32) for n in (200, 4000))
    program = qcompiler.compile(proto, calibration=seen, target="reference", t_max=64)
    ends, beyond = seen.sum(axis=1), program.run(unseen)
    assert isinstance(beyond, np.ndarray)
    assert beyond.max() > ends.max() * 1.02
    assert beyond.min() < ends.min() * 1.02
