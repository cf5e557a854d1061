"""Values that calibration has not seen: ranges reach where the next one may lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Tensor
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.tails import beyond
from qcompiler.passes.tensor.normalize import Normalize
from tests.support.onnx_models import model, run_onnx

RNG = np.random.default_rng(0)
LEVELS = 64


def histogram(values: np.ndarray[Any, Any]) -> Histogram:
    found = Histogram()
    found.add(values.astype(np.float32))
    return found


def test_next_value_of_an_exponential_distribution() -> None:
    """The excess over any threshold has the mean of the distribution, on average over data."""
    seen = [np.sort(RNG.exponential(3.0, 400)) for _ in range(200)]
    excess = [beyond(one, np.ones(400)).mean() - one[-1] for one in seen]
    assert np.mean(excess) == pytest.approx(3.0, rel=0.1)  # the places leave 4 % of the tail out


@pytest.mark.parametrize(
    "values",
    [np.zeros(50), np.clip(RNG.normal(size=500), -1, 1), np.repeat([0.0, 1.0], 50)],
    ids=["constant", "clipped", "two values"],
)
def test_values_that_gather_at_their_ends_have_no_tail(values: np.ndarray[Any, Any]) -> None:
    found = histogram(values)
    assert found.extended(LEVELS) == (found.low, found.high)


def test_integers_with_a_level_each_keep_it() -> None:
    values = RNG.binomial(40, 0.5, 500)
    low, high = histogram(values).extended(LEVELS)
    assert (low, high) == (values.min(), values.max())


def test_error_of_unseen_values_is_less() -> None:
    """On average: rounding to levels of the extended range, and of the observed one."""

    def error(bounds: tuple[float, float], x: np.ndarray[Any, Any]) -> float:
        step = (bounds[1] - bounds[0]) / (LEVELS - 1)
        rounded = bounds[0] + np.rint((x.clip(*bounds) - bounds[0]) / step) * step
        return float(np.mean((rounded - x) ** 2))

    observed, extended = [], []
    for _ in range(100):
        found = histogram(RNG.normal(size=256))
        unseen = RNG.normal(size=10_000)
        observed.append(error((found.low, found.high), unseen))
        extended.append(error(found.extended(LEVELS), unseen))
    assert np.mean(extended) < np.mean(observed)


@pytest.mark.parametrize("op", ["Reciprocal", "Log", "Sqrt"])
def test_domains_stay_clear_of_poles(op: str) -> None:
    """The smallest values of the variable are so few and so small that its tail passes zero."""
    x = np.concatenate([RNG.uniform(1, 9, 250), RNG.uniform(0.05, 1, 6)])[:, None]
    proto = model("float[N,1] x", f"y = {op}(x)")
    program = qcompiler.compile(proto, calibration=x, target="reference", t_max=LEVELS)
    assert np.isfinite(program.run(x)).all()


def test_only_outputs_of_many_levels_reach() -> None:
    """Where each level counts, below 64, and in front of outputs ranges stay as observed."""
    x = RNG.normal(size=(256, 3)).astype(np.float32)
    graph = import_model(model("float[N,3] x", "y = Relu(x)")).graph
    for t_max, output_t_max, reaches in ((63, 256, False), (64, 64, False), (64, 256, True)):
        found = Normalize(t_max=t_max, output_t_max=output_t_max, calibration=(x,))(graph)
        for value, grown in zip((*found.inputs, *found.outputs), (False, reaches), strict=True):
            assert isinstance(value.type, Tensor) and value.type.range is not None
            assert (value.type.range[1] > x.max() * 1.001) == grown


def test_values_beyond_calibration_saturate_less() -> None:
    """The sums of a product of two weights reach farther in 4,000 samples than in 200."""
    w1, w2 = (RNG.normal(size=(8, 8)).astype(np.float32) for _ in range(2))
    proto = model("float[N,8] x", "h = MatMul(x, w1) r = Relu(h) y = MatMul(r, w2)", w1=w1, w2=w2)
    seen, unseen = (RNG.normal(size=(n, 8)).astype(np.float32) for n in (200, 4000))
    program = qcompiler.compile(proto, calibration=seen, target="reference", t_max=LEVELS)
    (exact,) = run_onnx(proto, {"x": unseen})
    (ends,) = run_onnx(proto, {"x": seen})
    cut = exact.clip(ends.min(0), ends.max(0))
    ours = program.run(unseen)
    assert np.mean((ours - exact) ** 2) < np.mean((cut - exact) ** 2)
