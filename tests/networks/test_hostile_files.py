"""Files that once broke something come out as expected: a sentence, and nothing else."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.ir import InvalidModel, ProgramError
from tests.support import onnx_models

pytestmark = pytest.mark.data


@pytest.fixture
def hostile(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (data_dir / "hostile").is_dir():
        pytest.skip("no hostile files")
    monkeypatch.setitem(sys.modules, "tests.onnx_models", onnx_models)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return data_dir / "hostile"


@pytest.mark.parametrize("name", ["06_external_data", "07_non_utf8_names"])
def test_scripts_report_no_traceback(name: str, hostile: Path, capsys: Any) -> None:
    Path("ext").mkdir()
    text = (hostile / f"{name}.py").read_text().replace('Path("ext/w")', 'Path("ext/w").resolve()')
    Path("script.py").write_text(text)
    runpy.run_path("script.py")
    found = capsys.readouterr().out
    assert "TRACEBACK" not in found
    assert found.lower().count("clean") >= 10
    assert not [line for line in found.splitlines() if "Shape cwd" in line and "COMPILED" in line]


def test_entries_that_overlap(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = onnx_models.model("float[N,6] x", "y = Gemm(x, w)", w=(6, 3))
    qcompiler.compile(proto, target="reference").save("p")
    monkeypatch.chdir("p")
    monkeypatch.setattr(sys, "argv", ["", "100", "1"])
    runpy.run_path(str(hostile / "09_overlapping_npz.py"))
    with pytest.raises(ProgramError, match="missing or damaged"):
        qcompiler.load(Path.cwd())


def test_a_model_that_crashes_onnxruntime(hostile: Path) -> None:
    path = hostile / "18_ort_segfault.onnx"
    data = np.random.default_rng(0).random((20, 8), np.float32)
    qcompiler.compile(path, calibration=data, effort=0)
    found: list[str] = []
    try:
        run_outputs(path, Data((data,)), {})
    except InvalidModel as error:
        found.append(str(error))
    assert all("a fault of onnxruntime" in message for message in found)  # or it is mended
