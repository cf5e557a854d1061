"""Plugins that do not work are named, and are no faults of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli import test_cli

folder, run = test_cli.folder, test_cli.run
MODULE = """
from dataclasses import dataclass
from qcompiler.data import Reader
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

CLAIMS = Reader("claims", "claims", lambda path: boom() if path.suffix == ".claim" else False, boom)
OPENS = Reader("opens", "opens", lambda path: path.suffix == ".open", boom)
"""
POINTS = """
[qcompiler.readers]
claims = faulty:CLAIMS
opens = faulty:OPENS
[qcompiler.passes]
leaves = leaving:Pass
fails = faulty:Fails
returns = faulty:Returns
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
    for name in ("a.claim", "a.open"):
        (folder / name).touch()
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("qcompile net.onnx --passes leaves", "the plugin leaves of faulty cannot load: 7"),
        ("qcompile net.onnx --passes fails", "the pass fails of faulty fails: ValueError: boom"),
        ("qcompile net.onnx --passes returns", "the pass returns returns no Graph, but int"),
        ("qcompile net.onnx --target number", "the plugin target number is not a qcompiler Back"),
        ("qcompile net.onnx --calibration a.claim", "the plugin reader claims fails: ValueError"),
        ("qcompile net.onnx --calibration a.open", "the plugin reader opens fails: ValueError"),
    ],
)
def test_faults_of_plugins_name_them(run: Any, command: str, message: str) -> None:
    status, _, err = run(command)
    assert status in (1, 2) and message in err and "bug in qcompiler" not in err
