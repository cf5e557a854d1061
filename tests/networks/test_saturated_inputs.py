"""Data beyond the code of a quantised model's input saturate, as in the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.comparison.errors.judge import TOLERATED
from tests.support.onnx_models import model, run_onnx

SCALE = np.float32(0.01)
TOP = 255 * SCALE
X = np.random.default_rng(0).normal(0, 2, (64, 6)).astype(np.float32)  # half of it is negative
QUANTISED = model(
    "float[N,6] x",
    "q = QuantizeLinear(x, s) d = DequantizeLinear(q, s) h = MatMul(d, w) y = Relu(h)",
    s=SCALE,
    w=(6, 4),
)
SCALED = model(
    "float[N,6] x",
    "m = Mul(x, k) q = QuantizeLinear(m, s) d = DequantizeLinear(q, s) h = MatMul(d, w)"
    " y = Relu(h)",
    k=np.float32(0.5),
    s=np.float32(0.5) * SCALE,
    w=(6, 4),
)


@pytest.mark.parametrize("proto", [QUANTISED, SCALED], ids=["plain", "scaled"])
@pytest.mark.parametrize("options", [{"t_max": 64}, {"t_max": 256}, {"t_max": 64, "effort": 0}])
def test_programs_are_those_of_saturated_data(proto: Any, options: dict[str, Any]) -> None:
    raw, clipped = (
        qcompiler.compile(proto, target="reference", calibration=data, **options)
        for data in (X, X.clip(0, TOP))
    )
    assert raw.graph == clipped.graph
    wanted = run_onnx(proto, {"x": X})[0]
    error = np.sqrt(np.mean((raw.run(X) - wanted) ** 2)) / wanted.std()
    assert error <= TOLERATED


def test_integers_saturate_too() -> None:
    data = np.random.default_rng(0).integers(-40, 40, (64, 6)).astype(np.int16)
    few = model(
        "float[N,6] x",
        "q = QuantizeLinear(x, s) d = DequantizeLinear(q, s) h = MatMul(d, w) y = Relu(h)",
        s=np.float32(0.125),
        w=(6, 4),
    )
    program = qcompiler.compile(few, target="reference", calibration=data, t_max=64)
    wanted = run_onnx(few, {"x": data.astype(np.float32)})[0]
    error = np.sqrt(np.mean((program.run(data) - wanted) ** 2)) / wanted.std()
    assert error <= TOLERATED
