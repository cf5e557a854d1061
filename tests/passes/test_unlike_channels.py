"""Channels of unlike scale before a function: as exact as with levels of their own ranges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import Builder, Tensor
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.passes.activations.channel_fits import Channels
from qcompiler.passes.activations.segments import fit
from qcompiler.passes.quantization.coarser_codes import coarser_code
from qcompiler.passes.quantization.integer_layer import ExceededLimits
from qcompiler.passes.quantization.level_codes import code_of
from tests.support.onnx_models import model

LEVELS = 64
FEATURES, CHANNELS = 16, 12
# Times the error of levels alone: weights are rounded as well, which adds at most as much variance
WEIGHTS = 1.5
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "Tanh": np.tanh,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
}
ELU = "x 0 min exp 1 - x 0 max +"


def in_levels(x: Array) -> Array:
    """Each feature in levels over its own range."""
    low, high = x.min(axis=0), x.max(axis=0)
    step = (high - low) / (LEVELS - 1)
    found: Array = np.rint((x - low) / step) * step + low
    return found


def errors(name: str, scales: Array, target: str) -> tuple[float, float]:
    """Of a compiled network, and of the same network with its values in levels."""
    rng, function = np.random.default_rng(0), FUNCTIONS[name]
    x = rng.normal(size=(300, FEATURES)).astype(np.float32)
    v = (rng.normal(size=(FEATURES, CHANNELS)) / FEATURES**0.5 * scales).astype(np.float32)
    hidden = function(x @ v.astype(np.float64))
    w = (rng.normal(size=(CHANNELS, 3)) / hidden.std(axis=0)[:, None]).astype(np.float32)
    exact = hidden @ w
    levels = in_levels(in_levels(function(in_levels(x) @ v.astype(np.float64))) @ w)
    proto = model(
        f"float[N,{FEATURES}] x", f"a = MatMul(x, v) h = {name}(a) y = MatMul(h, w)", v=v, w=w
    )
    program = qcompiler.compile(proto, target=target, calibration=x, t_max=LEVELS)
    found = np.asarray(program.run(x))
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))
    share = [np.sqrt(np.mean(((y - exact) / exact.std(axis=0)) ** 2)) for y in (found, levels)]
    return float(share[0]), float(share[1])


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_channels_of_unlike_scale_are_as_exact_as_their_levels(name: str, target: str) -> None:
    found, levels = errors(name, np.logspace(0, 2, CHANNELS), target)
    assert found < WEIGHTS * levels


def test_steep_functions_have_fewer_levels_a_segment_where_membranes_exceed() -> None:
    """Narrow segments of a wide range: membranes reach far beyond each, but sum more finely."""
    found, levels = errors("Tanh", np.full(CHANNELS, 10.0), "loihi")
    assert found < WEIGHTS * levels


def test_unlike_channels_of_two_layers_are_summed() -> None:
    """What is steep in one layer is flat in the other."""
    rng, scales = np.random.default_rng(3), np.logspace(0, 2, CHANNELS)
    x = rng.normal(size=(300, FEATURES)).astype(np.float32)
    u, v = ((rng.normal(size=(FEATURES, CHANNELS)) / 4).astype(np.float32) for _ in range(2))
    u, v = (u * scales).astype(np.float32), (v * scales[::-1]).astype(np.float32)
    w = rng.normal(size=(CHANNELS, 3)).astype(np.float32)
    body = "a = MatMul(x, u) b = MatMul(x, v) c = Add(a, b) h = HardSwish(c) y = MatMul(h, w)"
    proto = model(f"float[N,{FEATURES}] x", body, u=u, v=v, w=w)
    program = qcompiler.compile(proto, target="loihi", calibration=x, t_max=LEVELS)
    both = u.astype(np.float64) + v
    function = FUNCTIONS["HardSwish"]
    exact = function(x @ both) @ w
    levels = in_levels(in_levels(function(in_levels(x) @ both)) @ w)
    error = [((y - exact) / exact.std(axis=0)).std() for y in (program.run(x), levels)]
    assert error[0] < WEIGHTS * error[1]


def test_a_clip_without_room_has_half_the_levels() -> None:
    builder = Builder("clip")
    result = builder.add(
        Clip(0.0, 6.0), builder.input("x", Tensor((3,), range=(0.0, 6.0))), name="y"
    )
    first = code = code_of((3,), 16, (0.0, 6.0))
    error = ExceededLimits("membranes")
    for levels in (8, 4):
        found = coarser_code(code, first, result, Clip(0.0, 6.0), error)
        assert found is not None and (found.t_max, found.zero) == (levels, 0)
        assert found.top * found.scale == pytest.approx(6)
        code = found


@pytest.mark.parametrize(
    ("widths", "gains", "unlike"),
    [
        ((0.1,), (1.0,), False),
        ((0.1, 0.1), (1.0, 1.5), False),
        ((0.01, 0.1), (1.0,), False),  # one fit for all is within its bound
        ((0.1, 0.1), (0.1, 10.0), True),
        ((0.1, 1.0), (1.0,), True),  # the steepest channel leaves the others no segments
    ],
)
def test_channels_that_are_alike_share_their_knots(
    widths: tuple[float, ...], gains: tuple[float, ...], unlike: bool
) -> None:
    bound = 0.01
    channels = Channels(np.array(widths), np.array(gains), (-1.0, 4.0))
    found = fit(ELU, (-4.0, 4.0), bound / float(np.sqrt(np.mean(np.square(gains)))), max(widths))
    assert channels.misfit(found, bound) == unlike


def test_each_channel_has_segments_over_the_range_that_it_takes() -> None:
    gains, widths, bound = np.array([0.1, 1.0, 10.0]), np.array([1.0, 0.1, 0.01]), 0.05
    found = Channels(widths, gains, (-0.5, 4.0)).fits(ELU, (-40.0, 40.0), bound, 8)
    for one, gain, width in zip(found, gains, widths, strict=True):
        steep = one.slopes != 0
        assert np.count_nonzero(steep) <= 8
        assert np.diff(one.knots)[steep].min() >= width * (1 - 1e-9)
        # classes of gains are a fourth of an octave apart
        assert one.knots[-1] <= 4 / gain * 2**0.25 * 1.01
        x = np.linspace(max(-0.5 / gain, -40), min(4 / gain, 40), 1000)
        exact = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        inside = exact * gain >= -0.5
        off = np.abs(np.interp(x, one.knots, one.values) - exact)[inside] * gain
        assert off.max() <= 1.5 * bound


def test_segments_at_an_end_are_no_narrower_than_others() -> None:
    found = fit(ELU, (-300.0, 300.0), 0.1, 3.0)
    assert np.diff(found.knots)[found.slopes != 0].min() >= 3.0 * (1 - 1e-9)
