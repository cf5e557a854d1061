"""What the commands say of wrong options, damaged programs and broken models."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.cli import test_cli
from tests.support.onnx_models import model

folder, run = test_cli.folder, test_cli.run

COMPILE = "qcompile net.onnx --calibration data.npz"
FINITE = "give finite numbers, in size"
DIVIDED = f"as the input is divided by it: {FINITE}"
OPTIONS = {
    "--t-max 1": "error: t_max must be between 2 and 1024, not 1",
    "--t-max 5000": "error: t_max must be between 2 and 1024, not 5000",
    "--slices 99": "error: slices must be between 1 and 16, not 99",
    "--weight-bits 1": "error: weight_bits must be between 2 and 16, not 1",
    "--weight-bits 9": "error: weights of Loihi 2 have at most 8 weight_bits, not 9",
    "--percentile 10": "error: percentile must be above 50 and at most 100, not 10",
    "--passes=": "error: passes names no pass: leave it out to run those of the target",
    "--check --passes=": "error: passes names no pass: leave it out to run those of the target",
    "--mean-values nan": f"error: mean_values cannot hold nan: {FINITE} at most 1e+30",
    "--mean-values -inf": f"error: mean_values cannot hold -inf: {FINITE} at most 1e+30",
    "--mean-values -1,inf": f"error: mean_values cannot hold inf: {FINITE} at most 1e+30",
    "--scale-values 2,0": f"error: scale_values cannot hold 0, {DIVIDED} from 1e-30 to 1e+30",
    "--scale-values=-inf": f"error: scale_values cannot hold -inf, {DIVIDED} from 1e-30 to 1e+30",
    "--check --scale-values 0": f"error: scale_values cannot hold 0, {DIVIDED} from 1e-30 to 1e+30",
    "--activation-error 2": "error: activation_error must be at least 0 and below 1, not 2",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_option_shows_no_pipeline(run: Any, option: str) -> None:
    status, _, err = run(f"{COMPILE} {option}")
    assert status == 1
    assert err.strip() == OPTIONS[option]


def test_numbers_of_channels_may_be_negative_and_fit_the_input(run: Any) -> None:
    status, _, err = run(f"{COMPILE} --mean-values -1,2,3")
    assert status == 1
    assert "mean_values has 3 numbers for an input of 1 channel, of shape (1, 6, 6)\n" in err
    assert "give one number, or one per channel" in err
    assert run(f"{COMPILE} -q --mean-values -1e-3 --scale-values -2 -o made")[0] == 0


def test_a_wrong_option_in_a_pipeline_is_pointed_at(run: Any) -> None:
    status, _, err = run(f"{COMPILE} --passes fold-linear,quantize{{t_max=1}}")
    assert status == 1
    assert "quantize: t_max must be between 2 and 1024, not 1\nfold-linear,quantize{t_max=1}" in err


def test_a_program_is_whole_or_not_loaded(run: Any, folder: Path) -> None:
    run(f"{COMPILE} -q -o whole")
    files = {path.name for path in (folder / "whole").iterdir()}
    for name in sorted(files):
        shutil.copytree("whole", "part")
        (folder / "part" / name).unlink()
        status, out, err = run("qrun part data.npz")
        assert (status, out) == (1, "")
        assert err.count("error:") == 1 and name in err and "Traceback" not in err
        shutil.rmtree("part")
    for key in ("preprocessing", "files", "target", "format"):
        shutil.copytree("whole", "part")
        manifest = json.loads((folder / "part" / "manifest.json").read_text())
        del manifest[key]
        (folder / "part" / "manifest.json").write_text(json.dumps(manifest))
        status, out, err = run("qrun part data.npz")
        assert (status, out) == (1, "")
        assert err.count("error:") == 1 and "compile" in err
        shutil.rmtree("part")
    assert run("qrun whole data.npz")[0] == 0


@pytest.mark.parametrize("size", [0, 7, 300])
def test_a_broken_model_is_named_without_marks_of_onnxruntime(
    run: Any, folder: Path, size: int
) -> None:
    run(f"{COMPILE} -q -o whole")
    (folder / "cut.onnx").write_bytes((folder / "net.onnx").read_bytes()[:size])
    status, _, err = run("qrun whole data.npz --against cut.onnx")
    assert status == 1
    assert err.startswith("error: cut.onnx") and "ONNXRuntimeError" not in err


def test_tables_have_no_trailing_spaces(run: Any) -> None:
    for line in (f"{COMPILE} -v", "qcompile net.onnx --check"):
        out = run(line)[1]
        assert out and not [row for row in out.splitlines() if row != row.rstrip()]


@pytest.mark.parametrize("body", ["a = Abs(x) y = Div(x, a)", "a = Mul(x, k) y = Tanh(a)"])
def test_check_tells_the_error_where_a_function_jumps(run: Any, folder: Path, body: str) -> None:
    onnx.save(model("float[N,4] x", body, 14, k=np.float32(1e5)), "jump.onnx")
    x = np.random.default_rng(0).uniform(-1, 1, (200, 4)).astype(np.float32)
    np.savez("x.npz", x=x)
    _, out, _ = run("qcompile jump.onnx --check --calibration x.npz")
    (share,) = re.findall(r"error up to (\S+)%", out)
    assert float(share) > 40
    onnx.save(model("float[N,4] x", "y = Tanh(x)"), "smooth.onnx")
    assert "jumps" not in run("qcompile smooth.onnx --check --calibration x.npz")[1]


def test_check_refuses_what_no_core_can_hold(run: Any, folder: Path) -> None:
    onnx.save(model("float[N,1,70,70] x", "y = Conv(x, w)", w=(1, 1, 66, 66)), "fat.onnx")
    status, out, _ = run("qcompile fat.onnx --check")
    assert status == 1 and "input axons, a core of Loihi 2 has 4096" in out
    assert run("qcompile fat.onnx --check --target reference")[0] == 0


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("qcompile none.onnx -o data.npz", "data.npz exists and is no compiled program"),
        ("qcompile none.onnx -o data.npz/p", "data.npz is a file"),
        ("qcompile none.onnx -o loop", "loop cannot be written"),
        ("qcompile none.onnx -o .", "contains the current folder"),
        ("qrun none data.npz -o no/such/out.npz", "there is no folder no/such for -o"),
        ("qrun none data.npz --plot no/such.svg", "there is no folder no for --plot"),
        ("qrun none data.npz --against net.onnx --page a.html", "not a regular file"),
        ("qrun none data.npz -o loop", "loop cannot be written: choose another -o"),
        ("qrun none data.npz -o data.npz", "data.npz holds the data: choose another -o"),
        ("qrun none data.npz -o out.csv", "choose a name that ends in .npz"),
    ],
)
def test_outputs_are_checked_before_the_work(run: Any, line: str, what: str) -> None:
    Path("loop").symlink_to("loop")
    Path("a.html").mkdir()
    status, out, err = run(line)
    assert (status, out) == (1, "")
    assert what in err and err.count("error:") == 1 and "none" not in err
