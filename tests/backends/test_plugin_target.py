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
