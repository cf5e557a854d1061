"""Names of a model never steer the terminal that they are printed on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.ir import Diagnostic
from qcompiler.ir.diagnostics import printable
from tests.cli import test_cli
from tests.frontend.test_hostile_models import renamed
from tests.support.onnx_models import model

folder, run = test_cli.folder, test_cli.run
EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\n<script>[bold]%s"


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    body = "h = Gemm(x, w) r = Sigmoid(h) y = Gemm(r, v)"
    proto = model("float[N,6] x", body, w=(6, 3), v=(3, 2))
    for name in "xhryw":
        renamed(proto, name, name + EVIL)
    for node in proto.graph.node:
        node.name += EVIL
    proto.graph.name = EVIL
    onnx.save(proto, "evil.onnx")
    proto.graph.node[1].op_type = "Erase" + EVIL
    onnx.save(proto, "refused.onnx")
    data = np.random.default_rng(0).random((50, 6), np.float32)
    np.savez("data.npz", images=data, labels=np.arange(50) % 2)
    return tmp_path


def harmless(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (0, "qcompile evil.onnx --calibration data.npz --effort 0 -v -o p"),
        (0, "qcompile evil.onnx --check"),
        (0, "qcompile evil.onnx --calibration data.npz --effort 0 --emit snn --print-after all"),
        (1, "qcompile refused.onnx"),
        (1, "qcompile refused.onnx -v"),
        (1, "qcompile refused.onnx --check"),
    ],
)
def test_compiling(run: Any, evil: Path, status: int, command: str) -> None:
    found, out, err = run(command)
    assert found == status, err
    assert harmless(out) and harmless(err)
    assert "\\x1b[2J" in out + err or "\\u001b[2J" in out + err


@pytest.mark.parametrize(
    "command", ["qcompile m.onnx --\x1b[2J", "qrun p data.npz --\x9b2J", "qrun p d --frame \x1b[2J"]
)
def test_wrong_options(run: Any, evil: Path, command: str) -> None:
    status, out, err = run(command)
    assert status == 2 and harmless(out) and harmless(err)


def test_long_names_do_not_fill_the_screen(run: Any, evil: Path) -> None:
    proto = onnx.load("evil.onnx")
    proto.graph.node[1].domain = "x" * 300_000
    proto.graph.node[1].name = "y" * 300_000
    onnx.save(proto, "long.onnx")
    for more in ("", " --check"):
        status, out, err = run(f"qcompile long.onnx{more}")
        assert status == 1 and len(out + err) < 30_000
        assert "is not supported" in out + err


def test_running(run: Any, evil: Path) -> None:
    assert run("qcompile evil.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    command = "qrun p data.npz --against evil.onnx --explain --page page.html --plot plot.svg"
    status, out, err = run(command)
    assert status == 0 and harmless(out) and harmless(err)
    assert (
        harmless(Path("plot.svg").read_text()) and "<script>" not in Path("page.html").read_text()
    )
    np.savez("bad.npz", y=np.zeros(3))
    found = subprocess.run(
        [sys.executable, "p/network.py", "bad.npz"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1 and harmless(found.stderr) and "Traceback" not in found.stderr


def test_findings_show_what_they_hide() -> None:
    finding = Diagnostic("first\nsecond \x1b[2J", ("a\nb",), "tab\tand \u202e")
    assert harmless(finding.text)
    assert finding.text.splitlines()[:3] == ["first", "second \\x1b[2J", '  --> node "a\\nb"']
    assert printable("Größe 漢字 ∆\n") == "Größe 漢字 ∆\n"


def test_findings_show_the_ends_of_long_names() -> None:
    text = Diagnostic("wrong", ("a" + "b" * 10_000 + "\x1b" * 10_000 + "c", "d")).text
    assert len(text) < 300 and '--> nodes "ab' in text and 'x1bc", "d"' in text
