"""Ranges of outputs with many levels reach where the next value may lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Tensor, Value
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.tails import reaching
from qcompiler.passes.tensor.normalize import Normalize
from tests.support.onnx_models import model

RNG = np.random.default_rng(0)
PLENTY = 256  # levels

Numbers = np.ndarray[Any, Any]


def counted(values: Numbers) -> tuple[Histogram, tuple[float, float]]:
    """What was seen of some values, and how far a range of many levels reaches for them."""
    seen = Histogram()
    seen.add(values.astype(np.float32))
    return seen, reaching((seen.low, seen.high), *seen.counted(), PLENTY)


def test_an_exponential_tail_goes_on_by_its_mean() -> None:
    """The excess over any threshold has the mean of the distribution; at the other end, none."""
    reach = []
    for _ in range(200):
        seen, (low, high) = counted(RNG.exponential(3.0, 400))
        assert seen.low - low < 0.2  # the next lies 3 / 400 below, on average
        reach.append(high - seen.high)
    assert np.mean(reach) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(
    "values",
    [np.zeros(50), np.clip(RNG.normal(size=500), -1, 1), np.repeat([0.0, 1.0], 50)],
    ids=["constant", "clipped", "two values"],
)
def test_values_that_gather_at_their_ends_have_no_tail(values: Numbers) -> None:
    seen, found = counted(values)
    assert found == (seen.low, seen.high)


def test_many_values_leave_nothing_to_reach_for() -> None:
    """The next of 300,000 lies beyond all too seldom to be worth wider levels."""
    seen, found = counted(RNG.normal(size=300_000))
    assert found == (seen.low, seen.high)


def test_ends_that_cut_what_was_seen_stay() -> None:
    seen, (low, high) = counted(RNG.normal(size=256))
    cut = seen.low / 2, seen.high / 2
    assert reaching(cut, *seen.counted(), PLENTY) == cut
    assert low < seen.low < seen.high < high


def top_of(value: Value) -> float:
    """The upper end of the range of a value."""
    assert isinstance(value.type, Tensor) and value.type.range is not None
    return value.type.range[1]


BODIES = {
    "output": ("y = MatMul(x, w)", 64, True),
    "few levels": ("y = MatMul(x, w)", 32, False),
    "levels as of other values": ("y = MatMul(x, w)", PLENTY, False),
    "clipped": ("h = MatMul(x, w) y = Relu(h)", 64, False),
    "function": ("h = MatMul(x, w) y = Sigmoid(h)", 64, False),
}


@pytest.mark.parametrize("name", BODIES)
def test_only_sums_at_outputs_with_many_more_levels_reach(name: str) -> None:
    body, t_max, reaches = BODIES[name]
    x = np.random.default_rng(2).normal(size=(256, 3)).astype(np.float32)  # with a tail
    proto = model("float[N,3] x", body, w=np.eye(3))
    found = Normalize(t_max=t_max, output_t_max=PLENTY, calibration=(x,))(import_model(proto).graph)
    top = [top_of(value) for value in (*found.inputs, *found.outputs)]
    assert top[0] <= x.max() * 1.01
    assert (top[1] > x.max() * 1.02) == reaches


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
