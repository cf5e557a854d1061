"""Plugins that do not work are named, and are no faults of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli import test_cli

folder, run = test_cli.folder, test_cli.run
MODULE = """
import sys
from dataclasses import dataclass
from qcompiler.data import Indexed, Reader
from qcompiler.passes import Pass

def boom(*given):
    raise ValueError("boom")

@dataclass(frozen=True)
class Fails(Pass):
    name = "fails"
    __call__ = boom

@dataclass(frozen=True)
class Returns(Pass):
    name = "returns"
    def __call__(self, graph):
        return 5

def leave(*given):
    sys.exit(0)

@dataclass(frozen=True)
class Leaves(Pass):
    name = "leaves"
    __call__ = leave

@dataclass(frozen=True)
class Unmade(Pass):
    name = "unmade"
    __post_init__, __call__ = leave, boom

class Lost(Indexed):
    def __init__(self, *given):
        super().__init__()
    def __len__(self):
        return 3
    read = leave

READS = Reader("reads", "reads", lambda path: path.suffix == ".read", Lost)
QUITS = Reader("quits", "quits", lambda path: path.suffix == ".quit", leave)
CLAIMS = Reader("claims", "claims", lambda path: boom() if path.suffix == ".claim" else False, boom)
OPENS = Reader("opens", "opens", lambda path: path.suffix == ".open", boom)
GIVES = Reader("gives", "gives", lambda path: path.suffix == ".give", lambda *given: None)
"""
POINTS = """
[qcompiler.readers]
claims = faulty:CLAIMS
gives = faulty:GIVES
opens = faulty:OPENS
quits = faulty:QUITS
reads = faulty:READS
[qcompiler.passes]
leaves = leaving:Pass
fails = faulty:Fails
returns = faulty:Returns
alias = faulty:Returns
[qcompiler.backends]
number = faulty:__name__
"""


@pytest.fixture
def plugins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = folder / "faulty-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (info / "entry_points.txt").write_text(POINTS)
    (folder / "faulty.py").write_text(MODULE)
    (folder / "leaving.py").write_text("raise SystemExit(7)")
    for name in ("a.claim", "a.open", "a.read", "a.quit", "a.give"):
        (folder / name).touch()
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("qcompile net.onnx --passes leaves", "plugin leaves of faulty cannot load: SystemExit: 7"),
        ("qcompile net.onnx --passes fails", "the pass fails of faulty fails: ValueError: boom"),
        ("qcompile net.onnx --passes returns", "the pass returns returns no Graph, but int"),
        ("qcompile net.onnx --passes alias", "the plugin pass alias calls itself 'returns'"),
        ("qcompile net.onnx --target number", "the plugin target number is not a qcompiler Back"),
        ("qcompile net.onnx --calibration a.claim", "plugin reader claims of faulty fails: Value"),
        ("qcompile net.onnx --calibration a.open", "plugin reader opens of faulty fails: Value"),
        ("qcompile net.onnx --calibration a.quit", "plugin reader quits of faulty fails: System"),
        (
            "qcompile net.onnx --calibration a.give",
            "reader gives of faulty opens no Source, but None",
        ),
        (
            "qcompile net.onnx --calibration a.read",
            "the reader Lost of faulty fails: SystemExit: 0",
        ),
        ("qcompile net.onnx --passes faulty:Leaves", "the pass leaves of faulty fails: SystemExit"),
        ("qcompile net.onnx --passes faulty:Unmade", "faulty:Unmade: SystemExit: 0"),
        ("qcompile net.onnx --passes leaving:Pass", "cannot import leaving:Pass: SystemExit: 7"),
    ],
)
def test_faults_of_plugins_name_them(run: Any, command: str, message: str) -> None:
    status, _, err = run(command)
    assert status == 1 and message in err
    assert "bug in qcompiler" not in err and "Traceback" not in err


@pytest.mark.usefixtures("plugins")
def test_an_unknown_pass_is_told_beside_those_of_plugins(run: Any) -> None:
    status, _, err = run("qcompile net.onnx --passes nope")
    assert status == 1 and "no pass is named 'nope'" in err
    known = err.partition("known: ")[2].strip().split(", ")
    assert {"fails", "leaves", "returns", "quantize"} <= {*known}
