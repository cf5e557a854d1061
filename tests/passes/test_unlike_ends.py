"""Outputs that are functions, or products, whose channels have unlike scales: a code of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.data import Data
from qcompiler.explain.diagnosis import explain
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate, parse, show, verify
from qcompiler.ir.ann import Function, Multiply, Rescale
from qcompiler.ir.kernels import Array
from qcompiler.passes.activations.channel_fits import Channels
from qcompiler.passes.calibration.data import run
from qcompiler.passes.calibration.intervals import interval_ranges
from qcompiler.passes.calibration.rounded_inputs import joined
from qcompiler.passes.tensor.equalize import Equalize
from qcompiler.passes.tensor.fold_linear import FoldLinear
from qcompiler.passes.tensor.standardize import Standardize
from tests.support.onnx_models import model, run_onnx

FEATURES, CHANNELS, LEVELS = 16, 6, 64
# Times the error of 64 levels an output: segments and weights are rounded as well
SEGMENTS = 1.5
SCALES, SHIFTS = np.logspace(0, 2, CHANNELS), np.linspace(-7, 7, CHANNELS)
BODIES = {
    "HardSwish": "y = HardSwish(a)",
    "SiLU": "s = Sigmoid(a) y = Mul(a, s)",
    "Sigmoid": "y = Sigmoid(a)",
    "rows": "h = HardSwish(a) r = Reshape(h, to) y = Transpose<perm=[0,2,1]>(r)",
    "product": "d = MatMul(x, u) y = Mul(a, d)",
    "scaled": "h = Elu(a) m = Mul(h, two) y = Sub(m, two)",
}


def in_levels(x: Array) -> Array:
    """Each element in levels over its own range."""
    low, high = x.min(axis=0), x.max(axis=0)
    step = (high - low) / (LEVELS - 1)
    found: Array = np.rint((x - low) / step) * step + low
    return found.astype(np.float32)


def network(name: str) -> tuple[Any, Array]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, FEATURES)).astype(np.float32)
    v, u = (rng.normal(size=(FEATURES, CHANNELS)) / FEATURES**0.5 for _ in range(2))
    given: dict[str, Any] = {"v": v if name == "Sigmoid" else v * SCALES, "u": u}
    given |= {"b": SHIFTS if name == "Sigmoid" else 0 * SHIFTS, "two": np.array([2.0])}
    arrays = {key: array.astype(np.float32) for key, array in given.items()}
    arrays["to"] = np.array([0, CHANNELS, 1])
    body = "a = Gemm(x, v, b) " + BODIES[name]
    used = {key: array for key, array in arrays.items() if re.search(rf"\b{key}\b", body[2:])}
    return model(f"float[N,{FEATURES}] x", body, **used), x


@pytest.mark.parametrize("name", BODIES)
def test_codes_of_channels_keep_the_function(name: str) -> None:
    proto, x = network(name)
    graph = FoldLinear()(import_model(proto, allow_products=True).graph)
    found = Standardize(calibration=(x,))(graph)
    made = [n for n in found.nodes if isinstance(n.op, Function | Multiply) and n.arrays[1:]]
    assert made and isinstance(found.nodes[-1].op, Rescale)
    verify(found)
    assert parse(show(found), {c.name: c.data for c in found.constants}) == found
    (exact,) = evaluate(graph, x)
    close = 1e-5 * float(np.abs(exact).max())
    np.testing.assert_allclose(evaluate(found, x)[0], exact, rtol=0, atol=close)
    (output,) = found.outputs
    (written,) = joined(run(found, (x,), [output.name]), [output.name])
    np.testing.assert_allclose(written, exact, rtol=0, atol=close)
    equal = Equalize(effort=1, calibration=(x,))(found)
    np.testing.assert_allclose(evaluate(equal, x)[0], exact, rtol=0, atol=10 * close)
    bounds = interval_ranges(found, (float(x.min()), float(x.max())))
    for node in made:
        name = node.result.name
        (values,), (low, high) = joined(run(found, (x,), [name]), [name]), bounds[name]
        room = 0.01  # bounds of functions are those of samples
        assert low - room <= values.min() and values.max() <= high + room


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("name", [name for name in BODIES if name != "product"])
def test_each_channel_of_an_output_is_as_exact_as_its_levels(name: str, target: str) -> None:
    proto, x = network(name)
    (exact,) = run_onnx(proto, {"x": x})
    (levels,) = run_onnx(proto, {"x": in_levels(x)})
    program = qcompiler.compile(
        proto, target=target, calibration=x, t_max=LEVELS, allow_products=True
    )
    found = np.asarray(program.run(x))
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))
    error, least = (np.mean((y - exact) ** 2, axis=0) ** 0.5 for y in (found, in_levels(levels)))
    assert (error < SEGMENTS * least).all()


def test_segments_lie_where_a_channel_with_a_shift_is() -> None:
    sigmoid, gain, middle = "x sigmoid", 50.0, 0.98
    channels = Channels(np.array([1e-3]), np.array([gain]), (0.0, 1.0), np.array([-gain * 0.97]))
    (found,) = channels.fits(sigmoid, (-300.0, 300.0), 0.004, 16)
    at = np.log(middle / (1 - middle))
    assert found.knots[0] < at < found.knots[-1] and found.knots[-1] - found.knots[0] < 4
    x = np.linspace(np.log(0.97 / 0.03), np.log(0.99 / 0.01), 100)
    off = np.interp(x, found.knots, found.values) - 1 / (1 + np.exp(-x))
    assert np.abs(off).max() * gain < 1.5 * 0.004


def test_flat_ends_of_a_wide_domain_leave_bends_where_they_are() -> None:
    """A bend near an end of a domain is none: where the function is flat the domain ends."""
    swish, width = "x x 6 / 0.5 + 0 max 1 min *", 1e-3
    channels = Channels(np.array([width]), np.array([0.2]), (0.0, 1.0), np.array([0.075]))
    (found,) = channels.fits(swish, (-300.0, 300.0), 0.004, 64)
    assert np.isclose(found.knots[:, None], [-3, 3], atol=1e-2).any(axis=0).all()
    assert np.count_nonzero(found.slopes) <= 10


IMAGES = {
    "pool": "c = Conv(x, k) p = GlobalMaxPool(c) y = Flatten(p)",
    "ReLU": "c = Conv(x, k) r = Relu(c) y = Transpose<perm=[0,2,3,1]>(r)",
    "ReLU and pool": "c = Conv(x, k) r = Relu(c) p = MaxPool<kernel_shape=[2,2]>(r) "
    "y = Transpose<perm=[0,2,3,1]>(p)",
    "parts": "c = Conv(x, k) m = Conv(x, k) s = Sigmoid(m) y = Concat<axis=1>(c, s)",
    "parts of views": "c = Conv(x, k) f = Flatten(c) g = Reshape(f, to) d = Conv(x, k) m = MaxPool<"
    "kernel_shape=[4,4]>(d) n = Reshape(m, to) y = Concat<axis=2>(g, n)",
}


def image(name: str) -> tuple[Any, Array]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3, 4, 4)).astype(np.float32)
    k = rng.normal(size=(CHANNELS, 3, 1, 1)) * SCALES[:, None, None, None]
    given: dict[str, Any] = {"k": k.astype(np.float32)}
    if "to)" in IMAGES[name]:
        given["to"] = np.array([0, CHANNELS, -1])
    return model("float[N,3,4,4] x", IMAGES[name], **given), x


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("name", IMAGES)
def test_scales_pass_views_pools_and_what_the_host_joins(name: str, target: str) -> None:
    proto, x = image(name)
    (exact,), (levels,) = (run_onnx(proto, {"x": one}) for one in (x, in_levels(x)))
    program = qcompiler.compile(proto, target=target, calibration=x, t_max=LEVELS)
    found = np.asarray(program.run(x))
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))
    rounded = in_levels(levels)
    axes = (0, *range(1, exact.ndim - 1)) if name.startswith("ReLU") else (0, *range(2, exact.ndim))
    error, least = (np.mean((y - exact) ** 2, axis=axes) ** 0.5 for y in (found, rounded))
    assert (error < 2 * least).all()  # one code for all pixels of a channel


@pytest.mark.parametrize(("name", "t_max"), [("pool", 64), ("parts", 64), ("ReLU", 16)])
def test_outputs_with_scales_are_explained(name: str, t_max: int, tmp_path: Path) -> None:
    """Also where they are sent in pieces, or their scales have moved past what the host does."""
    proto, x = image(name)
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    program = qcompiler.compile(path, target="reference", calibration=x, t_max=t_max)
    found = explain(program, path, Data((x,)))
    assert len(found.layers) > 1
    assert max(layer.changed for layer in found.layers) < 0.1  # of the outputs' variance
