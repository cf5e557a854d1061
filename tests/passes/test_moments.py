"""Mean squares and rounded values, computed piece by piece, beside numpy's at once."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir.spiking.coding import decode, encode
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.feature_ranges import feature_ranges
from qcompiler.passes.calibration.moments import mean_squares, variances
from qcompiler.passes.calibration.rounded_values import rounded_to_levels
from qcompiler.passes.calibration.trace import Trace
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.level_codes import code_of
from tests.support.onnx_models import model

SHAPES = [(3, 5), (7,), (2, 3, 300, 300), (300, 4, 9, 9), (1, 70000, 2), (5, 2, 1), (40, 1000)]


@pytest.mark.parametrize("shape", SHAPES)
def test_moments_are_those_of_numpy(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(100, 1, (2, *shape)).astype(np.float32)
    axes = (0, *range(2, len(shape)))
    exact = np.square(x, dtype=np.float64).mean(axis=axes)
    np.testing.assert_allclose(mean_squares(x), exact, 1e-12)
    assert mean_squares(x).shape == shape[1:2]
    np.testing.assert_allclose(
        mean_squares(x, y), np.square(x - y, dtype=np.float64).mean(axis=axes), 1e-12
    )
    # The mean is 100 times the deviation: 4 digits of 16 are lost.
    spread = np.var(x, axis=axes, dtype=np.float64)
    np.testing.assert_allclose(variances(x), spread, 1e-10, 1e-10)


@pytest.mark.parametrize("bounds", [(0.0, 3.0), (-1.3, 2.0), (1.0, 2.0)])
@pytest.mark.parametrize("levels", [2, 16, 343, 1000])
def test_rounded_values_have_the_bits_of_codes(levels: int, bounds: tuple[float, float]) -> None:
    x = np.random.default_rng(1).normal(0, 3, (3, 200, 100)).astype(np.float32)
    code = code_of(x.shape[1:], levels, bounds)
    np.testing.assert_array_equal(rounded_to_levels(code, x), decode(code, encode(code, x)))
    wide = x.astype(np.float64)
    np.testing.assert_array_equal(rounded_to_levels(code, wide), decode(code, encode(code, wide)))


def test_sums_of_changed_sources_are_those_of_all_images() -> None:
    proto = model("float[N,2,40,40] x", "c = Conv(x, w) y = Relu(c)", w=(40, 2, 3, 3))
    graph = import_model(proto).graph
    data = np.random.default_rng(4).normal(0, 1, (300, 2, 40, 40)).astype(np.float32)
    trace = Trace(graph, (data,))
    group = next(fusion_groups(graph))
    (source,) = {branch.source.name for branch in group.branches}
    whole = trace.before_clip(group, {source: 2 * trace.of(source)})
    found, seen = np.zeros_like(whole), 0
    for part, sums in trace.changed_sums(group, {source: lambda x: 2 * x}):
        found[part], seen = sums, seen + len(sums)
    assert seen == len(data)
    np.testing.assert_array_equal(found, whole)


def test_ranges_of_features_do_not_depend_on_which_axis_they_are() -> None:
    x = np.random.default_rng(2).normal(0, [1, 5, 30], (50, 7, 3)).astype(np.float32)
    one, other = feature_ranges(x, (1,)), feature_ranges(x.swapaxes(1, 2), (0,))
    np.testing.assert_array_equal(one.low.ravel(), other.low.ravel())
    np.testing.assert_array_equal(one.high.ravel(), other.high.ravel())
    assert one.ratio == other.ratio


def test_tops_of_channels_do_not_depend_on_their_number() -> None:
    x = np.random.default_rng(3).exponential(1, (64, 40, 8, 8)).astype(np.float32)
    every, some = ChannelSample(64), ChannelSample(64)
    every.add(x)
    some.add(x[:, :1])
    assert every.tops(16)[0] == some.tops(16)[0]
