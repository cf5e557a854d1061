"""Inputs that are settings, which a compilation fixes to a number."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.ir import CompileError, InvalidModel
from tests.support.onnx_models import model

# Two rates, each with its own weights, as networks for speech have them.
SPEECH = model(
    "float[N,6] x, int64[] sr, float[2] gains, float[n] unused_gain",
    """known = Constant<value_int = 16000>()
    wide = Equal(sr, known)
    h = If(wide) <
        then_branch = g1 () => (float[N,4] a) { a = MatMul(x, w) },
        else_branch = g2 () => (float[N,4] b) { b = MatMul(x, v) }
    >
    g = ReduceSum<keepdims = 0>(gains)
    k = ReduceSum<keepdims = 0>(unused_gain)
    gk = Mul(g, k)
    r = Relu(h)
    y = Mul(r, gk)""",
    w=(6, 4),
    v=(6, 4),
)
SPEECH.graph.input[1].type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto())  # a scalar
GIVEN = ["--input-value", "gains=0.5", "--input-value", "unused_gain=2"]
GIVEN += ["--input-shape", "unused_gain=3"]


def test_the_value_chooses_the_branch_and_comparisons_take_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(SPEECH, "net.onnx")
    x = np.random.default_rng(0).random((64, 6), np.float32)
    np.savez("x.npz", x=x)
    for rate in 16000, 8000:
        made = ["net.onnx", "--target", "reference", "--calibration", "x.npz", "--t-max", "64"]
        made += ["--input-value", f"sr={rate}", *GIVEN, "-o", "made", "-q"]
        assert qcompile.main(made) == 0
        manifest = json.loads(Path("made", "manifest.json").read_text(encoding="utf-8"))
        values = {"sr": rate, "gains": 0.5, "unused_gain": 2}
        assert manifest["input_values"] == values and not manifest.get("unread_inputs")
        capsys.readouterr()
        assert qrun.main(["made", "x.npz", "--against", "net.onnx", "--explain", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        output = found["outputs"]["y"]
        assert (
            output["error"] < 0.05 * output["spread"]
        )  # of the other branch it is about the spread
        assert qcompile.main(["--verify", "made", "net.onnx", "x.npz"]) == 0
        capsys.readouterr()


def test_a_scalar_input_names_the_option(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    onnx.save(SPEECH, tmp_path / "net.onnx")
    assert qcompile.main([str(tmp_path / "net.onnx")]) == 1
    assert "--input-value sr=.." in capsys.readouterr().err
    assert qcompile.main([str(tmp_path / "net.onnx"), "--check", *GIVEN]) == 1
    assert (
        qcompile.main([str(tmp_path / "net.onnx"), "--check", *GIVEN, "--input-value=sr=8e3"]) == 0
    )
    with pytest.raises(CompileError, match=re.escape('input_values={"sr": ..}')):
        qcompiler.compile(SPEECH, input_shapes={"unused_gain": (3,)})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": 1}, 'no input "rate": its inputs are x, sr'),
        ({"sr": 0.5}, 'input "sr" takes whole numbers'),
        ({"sr": 1e19}, 'input "sr" takes numbers from -9223372036854775808'),
        ({"gains": 1e300}, 'input "gains" takes numbers from -3.4'),
        (
            {"unused_gain": 1},
            r'"unused_gain" has the shape \[n\].*--input-shape unused_gain=\.\.|n',
        ),
        ({"x": 1}, r'"x" has the shape \[N, 6\]'),
    ],
)
def test_a_value_that_does_not_fit_is_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidModel, match=said):
        qcompiler.compile(SPEECH, input_values=values)


@pytest.mark.parametrize("text", ["sr", "=1", "sr=x", "sr=nan", "sr=inf", "sr="])
def test_the_option_takes_a_name_and_a_number(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        qcompile.main(["net.onnx", "--input-value", text])
    assert "expected NAME=16000" in capsys.readouterr().err


def test_an_input_has_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        qcompile.main(["net.onnx", "--input-value", "sr=1", "--input-value", "sr=2"])
    assert "--input-value: sr is given twice" in capsys.readouterr().err


def test_a_value_replaces_the_default_of_an_input(tmp_path: Path) -> None:
    proto = model("float[N,6] x, float[4] g", "h = MatMul(x, w)\ny = Mul(h, g)", w=(6, 4))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(4, np.float32), "g"))
    onnx.save(proto, tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((64, 6), np.float32)
    program = qcompiler.compile(
        tmp_path / "net.onnx", calibration=x, target="reference", t_max=64, input_values={"g": -3}
    )
    found = run_onnx(tmp_path / "net.onnx", Data((x,), names=("x",)), program.manifest)
    assert np.std(program.run(x) - found) < 0.05 * found.std()
