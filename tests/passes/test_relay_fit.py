"""Weights of sums are rounded together: errors of sources that rise together do not add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.ir.kernels import Array
from qcompiler.passes.fitting.relay_fit import rounded_together
from tests.support.onnx_models import model
from tests.support.random_networks import PHASES

seeds = st.integers(0, 2**32 - 1)


def covariance_of(levels: Array) -> Array:
    """Of ``sources x samples``, as of a single channel."""
    apart = levels - levels.mean(axis=1, keepdims=True)
    found: Array = (apart @ apart.T / levels.shape[1])[None]
    return found


def squared(found: Array, exact: Array, covariance: Array) -> Array:
    error = found - exact
    result: Array = np.einsum("ic,cij,jc->c", error, covariance, error)
    return result


def test_errors_of_segments_do_not_add_up() -> None:
    """Eight segments of one value, each of whose weights would be rounded up."""
    x = np.random.default_rng(0).uniform(0, 8, 4000)
    segments = np.clip(63 * (x - np.arange(8)[:, None]), 0, 63)
    exact = np.array([[54.6, 57.7, 60.7, 63.6, 66.6, 69.6, 72.6, 75.6]]).T
    covariance = covariance_of(segments)
    found = rounded_together(exact, np.full((8, 1), 127.0), covariance)
    sums = np.cumsum(found - exact)
    assert np.abs(sums).max() <= 0.75
    assert np.abs(np.cumsum(np.rint(exact) - exact)).max() > 3
    assert squared(found, exact, covariance) < squared(np.rint(exact), exact, covariance) / 10


@given(seed=seeds, sources=st.integers(2, 9), channels=st.integers(1, 4))
@settings(max_examples=100, phases=PHASES)
def test_no_sum_is_worse_than_with_the_nearest_weights(
    seed: int, sources: int, channels: int
) -> None:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(channels, sources, sources))
    covariance = mixed @ mixed.transpose(0, 2, 1)
    covariance[:, rng.integers(sources)] *= rng.integers(2)  # a source that never changes
    covariance = (covariance + covariance.transpose(0, 2, 1)) / 2
    exact, most = rng.uniform(-9, 9, (sources, channels)), np.full((sources, 1), 7.0)
    found, nearest = rounded_together(exact, most, covariance), np.clip(np.rint(exact), -7, 7)
    assert (np.abs(found) <= 7).all() and (found == np.rint(found)).all()
    least = squared(nearest, exact, covariance)
    assert (squared(found, exact, covariance) <= least + 1e-9 * np.abs(least)).all()
    whole = np.rint(exact).clip(-7, 7)
    np.testing.assert_array_equal(rounded_together(whole, most, covariance), whole)


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_a_function_of_many_segments(target: str) -> None:
    """All its outputs together are as near as levels are: the mean error is a part of a step."""
    x = np.random.default_rng(0).uniform(0.2, 4, (400, 1)).astype(np.float32)
    program = qcompiler.compile(
        model("float[N,1] x", "y = Sqrt(x)"), calibration=x, t_max=64, target=target
    )
    found = np.asarray(program.run(x))
    step = np.diff(np.unique(found)).min()
    assert abs(float(np.mean(found - np.sqrt(x)))) < step / 4
