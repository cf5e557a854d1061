"""Options that would do nothing beside others are refused by name, whoever gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.ir import PipelineError
from tests.support.onnx_models import model

LINES = {
    "x.onnx --labels l.npy": "no data to read (--calibration): leave --labels out",
    "x.onnx --calibration-frames 5 --skip-bad": "leave --skip-bad, --calibration-frames out",
    "x.onnx --resize 4 --crop 3 --split a --label-column b": "--label-column, --split, --resize",
    "--verify a x.onnx --labels l.npy": "no data to read (--verify DIR MODEL.onnx DATA)",
    "x.onnx --calibration d --max-drift 1 --t-max 8": "not allowed with",
    "x.onnx --calibration d --max-drop 1 --t-max 8": "not allowed with",
    "x.onnx --check --print-after all": "--check compiles nothing: leave --print-after out",
    "x.onnx --check --energy-model loihi1": "leave --energy-model out",
    "x.onnx --calibration d --check --max-drift 1": "leave --max-drift out",
    "x.onnx --emit ir --energy-model loihi1": "--emit prints no energy",
    "x.onnx --check --emit ir": "not allowed with",
    "--list x.onnx": "--list prints what there is: leave MODEL.onnx out",
    "--list --t-max 3 --target loihi1": "leave --target, --t-max out",
    "--list --config f": "leave --config out",
    "x.onnx --verify a b": "--verify asks the program: leave MODEL.onnx out",
    "--verify a b d --t-max 8 --calibration d": "leave --calibration, --t-max out",
    "--verify a b d --print-after all": "leave --print-after out",
    "--verify a b --input-shape x=1,2 --state a:b --proved": "leave --proved, --input-shape, --st",
}
INFO = {
    "d": "DATA",
    "--stream": "--stream",
    "--limit 5": "--limit",
    "--labels l.npy": "--labels",
    "--workers 2": "--workers",
    "--engine steps": "--engine",
    "--against m.onnx --explain": "--against, --explain",
    "-o o.npz": "--output",
}


@pytest.mark.parametrize("line", LINES)
def test_qcompile_refuses_what_it_would_not_do(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        qcompile.main(line.split())
    assert left.value.code == 2 and LINES[line] in capsys.readouterr().err


@pytest.mark.parametrize("line", INFO)
def test_the_information_on_a_program_takes_nothing_else(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        qrun.main(["p", "--info", *line.split()])
    assert left.value.code == 2
    assert f"--info runs nothing: leave {INFO[line]} out" in capsys.readouterr().err


def test_streams_run_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        qrun.main(["p", "d", "--stream", "--workers", "2"])
    assert "--stream runs in one process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("check = true\nemit = 'snn'", "not allowed with"),
        ("list = true\ncheck = true", "not allowed with"),
        ("t-max = 8\nmax-drift = 1", "not allowed with"),
        ("labels = 'l.npy'", "leave --labels out"),
    ],
)
def test_so_it_is_in_files(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.toml"
    path.write_text(text, encoding="utf-8")
    try:
        status = qcompile.main(["--config", str(path), "x.onnx"])
    except SystemExit:
        status = 2
    assert status and said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": [1]}, "labels needs calibration data"),
        ({"percentile": 99}, "percentile needs calibration data"),
        ({"client": print}, "a client runs a search"),
        ({"calibration": np.ones((9, 4)), "t_max": 8, "max_drift": 1}, "leave one of them out"),
        ({"calibration": np.ones((9, 4)), "client": 5, "max_drift": 1}, "a client of Dask"),
    ],
)
def test_so_it_is_in_python(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        qcompiler.compile(model("float[N,4] x", "y = Relu(x)"), **options)


PASSES = "fold-batchnorm,fold-linear,normalize,quantize,assign-windows,insert-readout"
UNTAKEN = {
    "--code burst": "no pass of --passes takes --code: leave it out, or add one",
    "--slices 2 --activation-error 0.1": "takes --slices, --activation-error",
    "--t-max 8 --effort 0 --proved --percentile 99 --weight-bits 6": "",
}


@pytest.mark.parametrize("line", UNTAKEN)
def test_passes_take_the_options_that_are_given(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(model("float[N,4] x", "a = Gemm(x, w)\ny = Relu(a)", w=(4, 3)), tmp_path / "n.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((50, 4), np.float32))
    files = [str(tmp_path / "n.onnx"), "--calibration", str(tmp_path / "x.npy")]
    others = ["--target", "reference", "--passes", PASSES, *line.split()]
    status = qcompile.main([*files, *others, "-q"])
    assert UNTAKEN[line] in capsys.readouterr().err and status == int(bool(UNTAKEN[line]))


def test_passes_of_one_network_have_the_same_levels() -> None:
    proto = model("float[N,4] x", "a = Gemm(x, w)\ny = Relu(a)", w=(4, 3))
    data = np.random.default_rng(0).random((50, 4), np.float32)
    unlike = PASSES.replace("normalize,quantize", "normalize{t_max=4},quantize{t_max=32}")
    for passes, said in ((PASSES, False), (unlike, True)):
        program = qcompiler.compile(proto, calibration=data, passes=passes, target="reference")
        told = "normalize has t_max=4, but quantize has t_max=32"
        assert any(told in text for text in program.warnings) == said


def test_a_missing_package_is_told_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qcompiler.backends.nir.target.find_spec", lambda name: None)
    files = [str(tmp_path / "missing.onnx"), "--calibration", str(tmp_path / "missing.npz")]
    assert qcompile.main([*files, "--target", "nir", "--max-drift", "1"]) == 1
    assert "the target nir needs the package nir" in capsys.readouterr().err
