"""The model in 8 bits stands beside the program, and what cannot be quantised costs a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.comparison.eight_bit import eight_bit
from qcompiler.data import Data
from tests.support.onnx_models import model
from tests.support.quantised_models import dense_chain

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        shutil.copy(DIGITS / name, tmp_path)
    return tmp_path


def test_both_commands_show_it(digits: Path, capsys: Any) -> None:
    network, program = str(digits / "digits.onnx"), str(digits / "out")
    options = ["--calibration", str(digits / "digits_calibration.npz"), "--scale-values", "16"]
    assert qcompile.main([network, *options, "-o", program, "-v"]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if one.startswith("8 bits"))
    assert "quantize_static errs by" in line
    assert "this program errs by" in line
    assert line.endswith("calibration frames, to which its weights are fitted)")
    data = str(digits / "digits_test.npz")
    assert qrun.main([program, data, "--against", network, "--explain", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["eight_bit"]["outputs"].values()
    assert found["8_bit"]["error"] < found["program"]["error"] < 0.2
    assert found["8_bit"]["agreement"] > 0.95
    kept = ["digits.onnx", "digits_calibration.npz", "digits_test.npz", "out"]
    assert sorted(one.name for one in digits.iterdir()) == kept


FILES = {
    "fixed batch, old opset": model("float[4,6] x", "h = MatMul(x, w) y = Relu(h)", 11, w=(6, 5)),
    "two inputs": model("float[N,6] x, float[N,6] w", "y = Add(x, w)"),
    "sequence of frames": model("float[N,3,6] x", "h = MatMul(x, w) y = Sigmoid(h)", w=(6, 2)),
}


@pytest.mark.parametrize("name", FILES)
def test_other_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(FILES[name], path)
    shapes = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in FILES[name].graph.input]
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal((10, *shape[1:]), np.float32) for shape in shapes)
    program = qcompiler.compile(path, calibration=arrays, target="reference")
    found = eight_bit(program, path, Data(arrays))
    assert not found.failed
    (one,) = found.quantised
    assert one.error is not None
    assert one.error.error is not None
    assert one.error.error < 0.1


def test_a_model_that_looks_rows_up(tmp_path: Path) -> None:
    path, ids = tmp_path / "model.onnx", np.random.default_rng(0).integers(0, 50, (60, 6))
    body = "e = Gather(E, ids) m = ReduceMean<axes=[1],keepdims=0>(e) h = Relu(m) y = Gemm(h, W)"
    onnx.save(model("int64[N,6] ids", body, 13, E=(50, 8), W=(8, 3)), path)
    program = qcompiler.compile(path, calibration=ids, target="reference")
    found = eight_bit(program, path, Data((ids,)))
    assert not found.failed
    assert [one.name for one in found.program] == ["y"]


def test_a_quantised_model_costs_a_sentence(tmp_path: Path) -> None:
    path, x = tmp_path / "model.onnx", np.random.default_rng(0).random((40, 12), np.float32)
    onnx.save(dense_chain(0, 4, 16), path)
    program = qcompiler.compile(path, calibration=x, target="reference")
    (line,) = eight_bit(program, path, Data((x,))).lines()
    assert line.endswith("quantize_static does not take the model: it is quantised already")
