"""A target that a plugin brings, with an engine that it brings along: listed, compiled for, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

ROOT = Path(__file__).parents[2]
MODULES = {"qcompile": "qcompiler.cli.compiling.qcompile", "qrun": "qcompiler.cli.running.qrun"}
PLUGIN = '''
from dataclasses import replace

from qcompiler.backends import REFERENCE, EngineFactory


class LoudEngine:
    """Runs the golden engine, and doubles what comes out."""

    def __init__(self, graph):
        (steps,) = (engine for engine in REFERENCE.engines if engine.name == "steps")
        self.steps = steps.make(graph)

    def __call__(self, *inputs, record=False, count=True, progress=None):
        outcome = self.steps(*inputs, record=record, count=count, progress=progress)
        return replace(outcome, outputs=tuple(2 * array for array in outcome.outputs))


def emit(graph, folder):
    (folder / "toy.txt").write_text(f"{len(graph.nodes)} nodes", encoding="utf-8")


TARGET = replace(
    REFERENCE,
    name="toy",
    description="a target of the tests",
    emit=emit,
    engines=(EngineFactory("loud", "twice the outputs of the steps engine", LoudEngine),),
)
'''
ENTRY_POINTS = "[qcompiler.backends]\ntoy = toy_target:TARGET\n"
BROKEN = """{}broken-chip = toy_target.nothing:CHIP
[qcompiler.passes]
broken-pass = toy_target.nothing:Pass
[qcompiler.readers]
broken-reader = toy_target.nothing:READER
last-reader = toy_target:READS
"""
READER = """
import numpy as np
from qcompiler.data import Indexed, Reader

class Zeros(Indexed):
    def __init__(self, path, wanted):
        super().__init__()

    def __len__(self):
        return 2

    def read(self, places):
        return (np.zeros((len(places), 4), np.float32),), places

READS = Reader("last-reader", "files of a test", lambda path: path.suffix == ".toy", Zeros)
"""
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 4] x) => (float[N, 3] y)
<float[4, 3] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, -1, 2, 3}> { h = MatMul (x, w) y = Relu (h) }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model, data, and an installed plugin."""
    plugin = tmp_path / "site"
    info = plugin / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (plugin / "toy_target.py").write_text(PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    onnx.save(onnx.parser.parse_model(MODEL), tmp_path / "net.onnx")
    np.save(tmp_path / "data.npy", np.random.default_rng(0).random((5, 4)).astype(np.float32))
    return tmp_path


def run(folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", MODULES[command], *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def outputs(folder: Path, engine: str) -> Any:
    ran = run(folder, "qrun", "net.toy", "data.npy", "--engine", engine, "-o", "out.npz", "-q")
    assert ran.returncode == 0, ran.stderr
    with np.load(folder / "out.npz") as arrays:
        return np.asarray(arrays["y"])


def test_its_engine_is_listed_and_runs(folder: Path) -> None:
    listed = json.loads(run(folder, "qcompile", "--list", "--json").stdout)
    assert listed["targets"]["toy"] == "a target of the tests"
    assert listed["engines"]["loud"] == "twice the outputs of the steps engine"
    given = ("net.onnx", "--target", "toy", "--calibration", "data.npy", "-q")
    ran = run(folder, "qcompile", *given)
    assert ran.returncode == 0, ran.stderr
    assert (folder / "net.toy" / "toy.txt").read_text().endswith("nodes")
    found = outputs(folder, "loud")
    assert found.any()
    np.testing.assert_array_equal(found, 2 * outputs(folder, "steps"))
    np.testing.assert_array_equal(found, 2 * outputs(folder, "fast"))


def test_its_engine_is_refused_for_other_targets(folder: Path) -> None:
    assert run(folder, "qcompile", "net.onnx", "-q", "-o", "net.other").returncode == 0
    ran = run(folder, "qrun", "net.other", "data.npy", "--engine", "loud")
    assert ran.returncode == 1
    assert "no engine named loud" in ran.stderr and "choose fast, steps" in ran.stderr


def test_a_broken_plugin_is_one_sentence(folder: Path) -> None:
    (folder / "site" / "toy_target.py").write_text("1 / 0\n")
    ran = run(folder, "qcompile", "net.onnx", "--target", "toy")
    assert ran.returncode == 1
    assert "plugin toy of toy cannot load" in ran.stderr and "Traceback" not in ran.stderr


def test_a_broken_plugin_disturbs_no_other(folder: Path) -> None:
    (folder / "site" / "toy-1.0.dist-info" / "entry_points.txt").write_text(
        BROKEN.format(ENTRY_POINTS)
    )
    (folder / "site" / "toy_target.py").write_text(PLUGIN + READER)
    listed = run(folder, "qcompile", "--list", "--json")
    assert listed.returncode == 0, listed.stderr
    names = json.loads(listed.stdout)
    assert {"toy", "loihi"} <= {*names["targets"]} and "loud" in names["engines"]
    assert "last-reader" in names["readers"] and "broken" not in listed.stdout
    for name in ("broken-chip", "broken-pass", "broken-reader"):
        told = f"warning: the plugin {name} of toy cannot load: ModuleNotFoundError: "
        assert listed.stderr.count(told) == 1
    assert run(folder, "qcompile", "net.onnx", "--target", "toy", "-q").returncode == 0
    assert outputs(folder, "loud").any()
    ran = run(folder, "qrun", "net.toy", "nothing.npy", "--engine", "quiet")
    message = "error: no engine named quiet runs a program for target toy: choose fast, steps, "
    assert ran.returncode == 1 and ran.stderr.startswith(message) and ran.stderr.endswith("loud\n")
    (folder / "data.toy").touch()
    assert run(folder, "qrun", "net.toy", "data.toy", "-q").returncode == 0


def test_a_name_of_another_target_is_one_sentence(folder: Path) -> None:
    points = f"{ENTRY_POINTS}loihi = toy_target:TARGET\n"
    (folder / "site" / "toy-1.0.dist-info" / "entry_points.txt").write_text(points)
    ran = run(folder, "qcompile", "net.onnx", "--target", "toy", "-q")
    assert ran.returncode == 1 and ran.stderr.count("error:") == 1
    assert "toy declares qcompiler.backends 'loihi', which qcompiler declares" in ran.stderr
    assert run(folder, "qcompile", "net.onnx", "-q").returncode == 0
