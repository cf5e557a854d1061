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
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.ir import CompileError, InvalidModel
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


def test_what_explain_cannot_take_gets_a_sentence(tmp_path: Path) -> None:
    onnx.save(model("float[N,8] x", BODIES["alone"]), tmp_path / "net.onnx")
    x = np.zeros((8, 8), np.float32)
    path = tmp_path / "net.onnx"
    program = qcompiler.compile(path, target="reference", calibration=x + np.arange(8))
    given: tuple[tuple[Any, Any, Any, str], ...] = (
        (program, path.read_bytes(), Data((x,)), "takes the path of the model, not bytes"),
        (program, str(path), x, "takes Data, not ndarray"),
        (program, path, Data((x,), np.zeros(3, int)), "there are 3 labels for 8 frames"),
        (None, path, Data((x,)), "takes a program, not NoneType"),
    )
    for one, other, data, sentence in given:
        with pytest.raises(CompileError, match=sentence) as caught:
            explain(one, other, data)
        assert "= help: " in str(caught.value)
    assert explain(program, str(path), Data((x,))).frames == 8


def test_a_model_of_other_inputs_is_not_compared(tmp_path: Path) -> None:
    other = model("float[N,8] a, float[N,8] b", "y = Add(a, b)")
    onnx.save(other, tmp_path / "other.onnx")
    x = np.zeros((8, 8), np.float32)
    with pytest.raises(InvalidModel, match="takes a, b, but the program takes x") as caught:
        run_outputs(tmp_path / "other.onnx", Data((x,), names=("x",)), {})
    assert "give the model that was compiled" in str(caught.value)
