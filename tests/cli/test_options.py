"""Options from files, completion in shells, and what `qrun --info` says of a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qcompiler.backends.energy.built_in_models import MODELS
from qcompiler.backends.targets import ENGINES as BUILT_IN_ENGINES
from qcompiler.cli import options
from qcompiler.cli.compiling import argument_types, parser, qcompile
from qcompiler.cli.running import qrun
from qcompiler.ir.spiking import codes
from qcompiler.search import pareto, report

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
OPTIONS = f"""
model = "{DIGITS / "digits.onnx"}"
calibration = "{DIGITS / "digits_calibration.npz"}"
scale-values = [16]
t_max = 8
effort = 0
quiet = true
json = false
output = "made"
input-shape = {{ image = ["N", 1, 8, 8] }}
"""


def test_the_parsers_know_the_names_that_they_do_not_load() -> None:
    assert tuple(MODELS) == options.ENERGY_MODELS
    assert tuple(codes.CODES) == parser.CODES
    assert pareto.OBJECTIVES == parser.OBJECTIVES
    assert tuple(report.WRITERS) == argument_types.SWEEPS
    assert tuple(BUILT_IN_ENGINES) == qrun.ENGINES


@pytest.fixture
def compiled(tmp_path: Path) -> Any:
    """Compile with these lines in a file, and these arguments; gives the manifest."""

    def command(text: str, *arguments: str) -> Any:
        tmp_path.joinpath("net.toml").write_text(text, encoding="utf-8")
        assert qcompile.main(["--config", str(tmp_path / "net.toml"), *arguments]) == 0
        return json.loads(tmp_path.joinpath("made", "manifest.json").read_text(encoding="utf-8"))

    return command


def test_a_file_sets_options_and_the_command_line_wins(
    compiled: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = compiled(OPTIONS, "--t-max", "4")
    assert manifest["built_with"]["options"]["t_max"] == 4
    assert manifest["built_with"]["options"]["effort"] == 0
    assert manifest["preprocessing"]["scale"] == [16.0]
    assert manifest["input_shapes"] == {"image": ["N", 1, 8, 8]}
    assert not capsys.readouterr().out  # quiet, and no JSON
    shifted = compiled(OPTIONS, "--mean-values", "-1e-3")
    assert shifted["preprocessing"]["mean"] == [-1e-3]
    searched = compiled(OPTIONS.replace("t_max = 8", "max-drop = 1"), "--max-drift", "90")
    assert searched["built_with"]["options"]["max_drift"] == 90  # of two that exclude each other
    assert "max_drop" not in searched["built_with"]["options"]
    capsys.readouterr()
    assert qrun.main([str(tmp_path / "made"), "--info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "loihi" and found["pipeline"] == searched["pipeline"]
    assert found["inputs"] == [{"name": "image", "shape": [1, 8, 8]}]
    assert found["outputs"] == [{"name": "scores", "shape": [10]}]
    assert sum(one["neurons"] for one in found["populations"]) <= found["neurons"]
    assert found["built_with"]["versions"]["numpy"]
    assert qrun.main([str(tmp_path / "made"), "--info"]) == 0
    shown = capsys.readouterr().out
    for text in ("image: frames x 1 x 8 x 8", "digits.onnx", "/pool1/MaxPool", "scale [16.0]"):
        assert text in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t-mx = 3", "did you mean t-max?"),
        ("zzz = 3", "no option is named 'zzz'"),
        ("config = 'a'", "no option is named 'config'"),
        ("effort = 7", "--effort: invalid choice"),
        ("t-max = true", "t-max takes no value such as True"),
        ("t-max = [1, 2]", "t-max takes no value such as [1, 2]"),
        ("t-max = [4]", "t-max takes no value such as [4]"),
        ("scale-values = [[1]]", "scale-values takes no value such as [1]"),
        ("model = ['digits.onnx']", "model takes no value such as ['digits.onnx']"),
        ("output = ''", "expected a path, not an empty text"),
        ("proved = 1", "proved is true or false"),
        ("max-drop = 1\nmax-drift = 1", "not allowed with"),
        ("passes = 'os.path:join'", "may run code: give it on the command line"),
        ("dask = 'tcp://10.0.0.5:8786'", "may run code: give it on the command line"),
        ("sweep = ['a.txt']", "should end in one of"),
        ("[t-max]\na = 'x'", "invalid int value"),
        ("scale_values = 1\nscale-values = 2", "scale_values and scale-values are one option"),
        ("t-max = ", "no TOML file"),
        ("t-max = " + "[" * 5000, "no TOML file"),
        ("\0", "no TOML file"),
    ],
)
def test_faults_of_a_file_are_one_sentence(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.toml"
    path.write_text(text, encoding="utf-8")
    assert qcompile.main(["--config", str(path), "x.onnx"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ") and said in error and error.count("\n") == 1


@pytest.mark.parametrize("mode", [["--check"], ["--emit", "snn"], ["--verify", "a"], ["--list"]])
def test_inspections_write_nothing(mode: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for written in (["--report", "r.html"], ["-o", "out"], ["--sweep", "s.csv"]):
        with pytest.raises(SystemExit):
            qcompile.main(["x.onnx", *mode, *written])
        said = f"{mode[0]} writes nothing: leave {written[0]} out"
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        qcompile.main(["x.onnx", *mode, *(["--list"] if "--check" in mode else ["--check"])])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "line", "option"),
    [
        (qcompile.main, "x.onnx --t-max 8 --t-max 16", "--t-max: "),
        (qcompile.main, "x.onnx -o a --output=b", "-o/--output: "),
        (qcompile.main, "x.onnx --input-shape a=N,2 --input-shape a=N,3", "--input-shape: a is "),
        (qcompile.main, "--config none.toml x.onnx --effort 1 --effort 1", "--effort: "),
        (qrun.main, "a --engine fast b --engine steps", "--engine: "),
    ],
)
def test_an_option_stands_once(
    command: Any, line: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        command(line.split())
    assert left.value.code == 2
    assert f"error: argument {option}given twice: leave one out\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (qcompile.main, [""]),
        (qcompile.main, ["net.onnx", "-o", ""]),
        (qcompile.main, ["net.onnx", "--labels", ""]),
        (qrun.main, ["p", ""]),
    ],
)
def test_an_empty_path_is_no_folder(
    command: Any, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        command(line)
    assert left.value.code == 2
    assert "expected a path, not an empty text\n" in capsys.readouterr().err


def test_flags_and_lists_of_options_repeat(
    compiled: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled(OPTIONS, "-q", "-q", "--proved", "--proved")
    two = ["--input-shape", "image=N,1,8,8", "--input-shape", "other=1"]
    assert qcompile.main(["--config", str(tmp_path / "net.toml"), *two]) == 1
    assert "other" in capsys.readouterr().err


def test_no_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        assert qcompile.main(["--config", str(path)]) == 1
        assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("qcompile --cal", {"--calibration"}),
        ("qcompile --target ", {"loihi", "loihi1", "reference"}),
        ("qcompile --code b", {"burst"}),
        ("qrun --engine f", {"fast"}),
    ],
)
def test_shells_complete_options(line: str, expected: set[str], tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    command = line.split()[0]
    asked = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "found"),
        "_ARGCOMPLETE_IFS": "\n",
    }
    code = f"import sys; sys.argv = [{command!r}]; from qcompiler.cli.commands import {command}"
    subprocess.run(
        [sys.executable, "-c", f"{code}; {command}()"], env=os.environ | asked, check=True
    )
    found = {word.strip() for word in tmp_path.joinpath("found").read_text().split("\n")}
    assert expected <= found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("argcomplete")
    with pytest.raises(SystemExit) as left:
        qcompile.main(["--completion", shell])
    assert not left.value.code
    assert "qrun" in capsys.readouterr().out


def test_completion_without_its_library_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("argcomplete", "argcomplete.shell_integration"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as left:
        qcompile.main(["--completion", "bash"])
    assert left.value.code == 1
    assert "qcompiler-snn[completion]" in capsys.readouterr().err
