"""Messages to Python code name keywords where those of the commands name options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.cli.compiling import qcompile
from qcompiler.compilation.keywords import in_keywords
from qcompiler.ir import PipelineError
from tests.support.onnx_models import model

NET = model("float[N,6] x", "h = MatMul(x, w)\ny = Relu(h)", w=(6, 3))
SAID = {
    "needs calibration data: give --calibration": "needs calibration data: give calibration",
    "--max-drop and --max-drift exclude": "max_drop and max_drift exclude",
    "use --weight-bits 8 with --target reference": 'use weight_bits=8 with target="reference"',
    "or --percentile 99.9 if": "or percentile=99.9 if",
    "such as --scale-values 0.2,-1e-3": "such as scale_values=[0.2, -1e-3]",
    "or use --allow-products": "or use allow_products=True",
    "with --layout nhwc or nchw": 'with layout="nhwc" or "nchw"',
    "--input-shape x=N,3,7 for": 'input_shapes={"x": ["N", 3, 7]} for',
    "--input-shape x=.., or": 'input_shapes={"x": [..]}, or',
    "its value, --input-value sr=.., or": 'its value, input_values={"sr": ..}, or',
    "name them, --state OUT:IN": 'name them, states="OUT:IN"',
    "choose with --split train": 'choose with split="train"',
    "leave --split out": "leave split out",
    "calibrate with fewer --calibration-frames": "calibrate with fewer frames",
}


@pytest.mark.parametrize("message", SAID)
def test_options_become_keywords(message: str) -> None:
    assert in_keywords(message) == SAID[message]


@pytest.mark.parametrize(
    "text", ["qrun with --against MODEL.onnx --explain names it", "/a--t-max/b", "--t-maximum"]
)
def test_other_words_stay(text: str) -> None:
    assert in_keywords(text) == text


def test_each_reader_has_its_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PipelineError, match=r"give calibration$") as caught:
        qcompiler.compile(NET, max_drop=1)
    assert caught.value.diagnostics[0].message.endswith("give calibration")
    with pytest.warns(qcompiler.CompileWarning, match="a much larger t_max, or"):
        qcompiler.compile(NET, target="reference")
    onnx.save(NET, tmp_path / "net.onnx")
    assert qcompile.main([str(tmp_path / "net.onnx"), "--max-drop", "1"]) == 1
    assert capsys.readouterr().err.endswith("give --calibration\n")
    assert qcompile.main([str(tmp_path / "net.onnx"), "-o", str(tmp_path / "made")]) == 0
    assert "a much larger --t-max, or" in capsys.readouterr().err


def test_a_layout_that_is_left_open_names_the_keyword() -> None:
    images = np.zeros((4, 3, 3, 3), np.uint8)
    with pytest.raises(qcompiler.CompileError, match='compile with layout="nhwc" or "nchw"'):
        qcompiler.compile(
            model("float[N,3,3,3] x", "y = Conv(x, w)", w=(2, 3, 2, 2)), calibration=images
        )
