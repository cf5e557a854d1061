"""`qrun --explain` where inputs are outputs at once, alone or beside a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.data import Data
from qcompiler.explain.diagnosis import explain
from tests.support.onnx_models import model

BODIES = {
    "alone": "y = Identity(x)",
    "beside a layer": "a = Gemm(x, w)\nr = Relu(a)\ny = Concat <axis=1> (x, r)",
}


@pytest.mark.parametrize("body", BODIES)
def test_inputs_that_are_outputs_are_explained(body: str, tmp_path: Path) -> None:
    weights: dict[str, Any] = {"w": (8, 3)} if "w" in BODIES[body] else {}
    onnx.save(model("float[N,8] x", BODIES[body], **weights), tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((80, 8)).astype(np.float32)
    program = qcompiler.compile(tmp_path / "net.onnx", target="reference", calibration=x)
    found = explain(program, tmp_path / "net.onnx", Data((x,)))
    assert found.layers[0].name == "x" and found.layers[0].error > 0
