"""`qrun --explain` names the cause of an error, not what makes up for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.data import Data
from qcompiler.explain.causes.ranges import range_or_levels
from qcompiler.explain.causes.verdict import INPUT, LEVELS
from qcompiler.explain.diagnosis import explain
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.ir import DataError, Spikes
from tests.support.onnx_models import model

SMOOTH = "a = Gemm(x, w) s = Sigmoid(a) m = Mul(a, s) b = Gemm(m, v) r = Relu(b) y = Gemm(r, u)"


def test_what_a_clip_cuts_is_no_error_of_segments(tmp_path: Path) -> None:
    """Sums below 0 are those of the model, too, where segments of a function lie before."""
    rng = np.random.default_rng(0)
    proto = model("float[N,8] x", SMOOTH, w=(8, 16), v=(16, 12), u=(12, 4))
    onnx.save(proto, tmp_path / "net.onnx")
    x = rng.standard_normal((200, 8)).astype(np.float32)
    program = qcompiler.compile(tmp_path / "net.onnx", target="reference", calibration=x, t_max=16)
    found = explain(program, tmp_path / "net.onnx", Data((x,)))
    (layer,) = (one for one in found.layers if one.name == "r")
    assert 0 < layer.own < 0.2
    assert all(part < 2 * layer.own for part in layer.parts.values())


def test_values_below_a_range_from_zero_are_no_lack_of_levels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    proto = model("float[N,8] x", "h = Gemm(x, w) r = Relu(h) y = Gemm(r, u)", w=(8, 16), u=(16, 4))
    onnx.save(proto, tmp_path / "net.onnx")
    seen = rng.uniform(0, 1, (200, 8)).astype(np.float32)
    program = qcompiler.compile(tmp_path / "net.onnx", target="loihi", calibration=seen, t_max=32)
    found = explain(program, tmp_path / "net.onnx", Data((2 * seen - 1,)))
    assert found.first is not None and found.first.layer == "x"
    assert "levels" not in found.first.cause


@pytest.mark.parametrize(
    ("reach", "is_calibrated", "found"),
    [(7.0, True, "levels"), (7.0, False, "wide"), (3.0, True, "wide"), (3.0, False, "wide")],
)
def test_ranges_that_data_fill_are_not_called_wide(
    reach: float, is_calibrated: bool, found: str
) -> None:
    """Calibration on the same data would not shrink them: it did not cut rare values before."""
    x = np.random.default_rng(0).standard_normal(4000).astype(np.float32).clip(-3, 3)
    x[:2] = -reach, reach
    case: Any = SimpleNamespace(exact=x, code=Spikes((1,), 16, 0.5, 8), is_calibrated=is_calibrated)
    assert range_or_levels(case, False) == found


def test_features_are_told_in_the_units_of_the_data(tmp_path: Path) -> None:
    """Though each has a range of its own, which the program maps to one; a few values exceed it."""
    rng = np.random.default_rng(2)
    proto = model(
        "float[N,40] x", "h = Gemm(x, w) r = Relu(h) y = Gemm(r, u)", w=(40, 16), u=(16, 4)
    )
    onnx.save(proto, tmp_path / "net.onnx")
    scales = np.logspace(-1, 1, 40)
    seen, unseen = ((rng.standard_normal((n, 40)) * scales).astype(np.float32) for n in (100, 300))
    program = qcompiler.compile(tmp_path / "net.onnx", target="loihi", calibration=seen, t_max=16)
    typical = explain(program, tmp_path / "net.onnx", Data((unseen,)))
    assert typical.first is None or typical.first.cause != INPUT
    scaled = explain(program, tmp_path / "net.onnx", Data((unseen * 255,))).first
    assert scaled is not None and scaled.cause == INPUT
    reach = 255 * unseen.min()
    assert f"range from {reach:.4g} to" in scaled.detail and "divided by 255" in scaled.remedy


def test_numbers_that_squares_cannot_hold_are_refused(tmp_path: Path) -> None:
    proto = model("float[N,4] x", "y = Gemm(x, w)", w=(4, 3))
    onnx.save(proto, tmp_path / "net.onnx")
    x = np.full((2, 4), 3e38, np.float32)
    with pytest.raises(DataError, match="the data reach 3e\\+38: compared with a model"):
        run_onnx(tmp_path / "net.onnx", Data((x,)), {})


@pytest.mark.parametrize(("apart", "close"), [(0.01, True), (1.0, False)])
def test_classes_that_a_model_hardly_tells_apart_are_told(
    apart: float, close: bool, tmp_path: Path
) -> None:
    """Two scores differ by a share of one feature, whose sign 16 levels keep but near 0."""
    rng = np.random.default_rng(3)
    weights = np.array([[1, 1], [0, apart]], np.float32)
    proto = model("float[N,2] x", "y = MatMul(x, w)", w=weights)
    onnx.save(proto, tmp_path / "net.onnx")
    x = rng.uniform(-1, 1, (300, 2)).astype(np.float32)
    given: dict[str, Any] = {"target": "reference", "calibration": x, "weight_bits": 16}
    passes = "fold-linear,split-inputs{levels=16},normalize{output_t_max=4096},"
    passes += "quantize{output_t_max=4096},assign-windows,insert-readout"
    program = qcompiler.compile(tmp_path / "net.onnx", passes=passes, **given)
    found = explain(program, tmp_path / "net.onnx", Data((x,))).first
    assert found is not None and (found.layer, found.cause) == ("x", LEVELS)
    assert found.detail.startswith("only frames change whose two best scores") is close
