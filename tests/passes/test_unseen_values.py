"""Values that calibration has not seen: ranges reach where the next one may lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.passes.activations.few_clips import clips, of_few_clips
from qcompiler.passes.activations.segments import fit
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.tails import beyond
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


def test_function_of_few_clips() -> None:
    """Nine segments would need levels of the variable, which cost more than one segment less."""
    domain, levels = (-6.5, 6.5), 63  # from 64 on, layers have more copies
    exact = fit("x tanh", domain, 1 / 63, 0.0)
    assert clips(exact) > 8
    found = of_few_clips(exact, "x tanh", domain, 0.0, levels)
    assert clips(found) <= 8
    assert found.error < exact.error + (domain[1] - domain[0]) / (levels - 1) / 2


def test_function_behind_a_wide_layer_reads_its_sums() -> None:
    """A population of the layer's sums would round them by 16 / 63 by the root of 12."""
    weights = RNG.normal(size=(20, 6)).astype(np.float32)
    weights *= 2 / np.sqrt(20)
    proto = model("float[N,20] x", "h = MatMul(x, w) y = Tanh(h)", w=weights)
    x = RNG.normal(size=(300, 20)).astype(np.float32)
    program = qcompiler.compile(proto, calibration=x, target="reference", t_max=LEVELS)
    (exact,) = run_onnx(proto, {"x": x})
    assert np.sqrt(np.mean((program.run(x) - exact) ** 2)) < 16 / 63 / np.sqrt(12)
