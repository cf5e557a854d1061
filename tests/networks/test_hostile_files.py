"""Files that once broke something come out as expected: a sentence, and nothing else.

What the other scripts do, smaller tests do as well: 05 in test_long_texts, 08, 08b, 08c and 12 in
test_saving, 10 and 11 in test_bounds and test_hostile_models, 13 in test_terminal, 14 in
test_wrong_data and tests/data, 17 in tests/docs, 19 in test_portability and
benchmarks/same_files.py.
"""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import frontend
from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import InvalidModel, ProgramError
from tests.support import onnx_models

pytestmark = pytest.mark.data
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
MOST_ERROR = 15.0  # percent of the spread, of 16 levels and functions between them


@pytest.fixture
def hostile(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (data_dir / "hostile").is_dir():
        pytest.skip("no hostile files")
    monkeypatch.setitem(sys.modules, "tests.onnx_models", onnx_models)
    monkeypatch.setattr(frontend, "import_model", import_model)  # as these scripts know it
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return data_dir / "hostile"


@pytest.mark.parametrize(
    "name", ["01_clip_negative_upper", "02_far_from_zero", "03_safety_clamp", "01b_all"]
)
def test_scripts_report_small_errors(name: str, hostile: Path, capsys: Any) -> None:
    """Bounds that data never reach, and values far from zero, cost no levels."""
    runpy.run_path(str(hostile / f"{name}.py"))
    found = capsys.readouterr().out
    shares = re.findall(r"rror ?/ ?spread (\d+\.?\d*) ?%", found)
    assert shares and max(map(float, shares)) < MOST_ERROR and "refused" not in found.lower()
    assert name != "01_clip_negative_upper" or "(ONNX: all 0.2): compiled 0.2 0.2" in found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files left open
@pytest.mark.parametrize("name", ["04_keyerror_behind_softmax", "15_raw_exceptions"])
def test_scripts_raise_nothing_else(name: str, hostile: Path, capsys: Any) -> None:
    Path("data").mkdir()
    for file in (*DIGITS.glob("*.onnx"), *DIGITS.glob("*.npz")):
        shutil.copy(file, "data")
    runpy.run_path(str(hostile / f"{name}.py"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3 and not [line for line in lines if "RAW" in line]


@pytest.mark.parametrize("name", ["01c_all", "01d_all"])
def test_engines_agree_on_bounds_and_constants(name: str, hostile: Path, capsys: Any) -> None:
    """Values that bounds make constant, too: of these scripts `!!!` marks large errors."""
    runpy.run_path(str(hostile / f"{name}.py"))
    lines = [line for line in capsys.readouterr().out.splitlines() if "exact" in line]
    assert len(lines) >= 28
    assert not [line for line in lines if "!!!" in line or not re.search("fast True", line)]


@pytest.mark.long
def test_host_operations_behind_a_softmax(hostile: Path, capsys: Any) -> None:
    """With calibration data; test_host_ends searches levels, too."""
    text = (hostile / "04b_all.py").read_text().replace('("calib","max_drift")', '("calib",)')
    Path("script.py").write_text(text)
    runpy.run_path("script.py")
    lines = [line for line in capsys.readouterr().out.splitlines() if "Softmax" in line]
    assert len(lines) >= 14
    assert not [line for line in lines if " ok " not in line and " REFUSED " not in line]


def test_booleans_are_0_or_1(hostile: Path) -> None:
    with pytest.raises(InvalidModel, match="which must be 0 or 1"):
        runpy.run_path(str(hostile / "16_booleans_beyond_0_and_1.py"))


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


def test_entries_that_overlap(hostile: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """As 09 makes them, and as 09b loads them."""
    proto = onnx_models.model("float[N,6] x", "y = Gemm(x, w)", w=(6, 3))
    qcompiler.compile(proto, target="reference").save("p")
    monkeypatch.chdir("p")
    monkeypatch.setattr(sys, "argv", ["", "100", "1"])
    runpy.run_path(str(hostile / "09_overlapping_npz.py"))
    with pytest.raises(ProgramError, match="missing or damaged"):
        qcompiler.load(Path.cwd())
    monkeypatch.chdir("..")
    runpy.run_path(str(hostile / "09b_load.py"))
    assert "ProgramError" in capsys.readouterr().out


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
