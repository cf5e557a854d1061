"""Programs are pickled and copied: the same network, warnings and results, also after they ran."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.ir import PipelineError
from tests.support.onnx_models import model
from tests.support.random_networks import random_batch, random_network

GRAPH = random_network(11, depth=4)
BATCH = random_batch(GRAPH, 11, frames=9)
INDICES = np.random.default_rng(1).integers(0, 20, (40, 3))
WORDS = model(
    "int64[N,3] ids",
    "e = Gather(E, ids) m = ReduceMean<axes=[1],keepdims=0>(e) h = Gemm(m, V) y = Relu(h)",
    13,
    E=(20, 4),
    V=(4, 3),
)
PIXELS = model("float[N,3,4,4] x", "h = Flatten(x) y = Gemm(h, W)", 13, W=(48, 3))
RGB = np.random.default_rng(2).random((40, 3, 4, 4), np.float32)


def pickled(program: Program) -> Program:
    found: Program = pickle.loads(pickle.dumps(program))
    return found


def compiled(target: str) -> Program:
    return qcompiler.compile(GRAPH, target=target, calibration=BATCH, t_max=8)


@pytest.mark.parametrize("again", [pickled, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("target", ["reference", "loihi", "nir", "brian2"])
@pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
def test_the_same_program(target: str, again: Callable[[Program], Program]) -> None:
    if target == "nir":
        pytest.importorskip("nir")
    program = compiled(target)
    program.manifest["warnings"] = ["a warning"]
    before = again(program)
    wanted = program.measure(BATCH)
    program.report()
    for found in (before, again(program)):
        assert found is not program and found == program and found.warnings == ("a warning",)
        assert {program: "kept"}[found] == "kept"
        assert found.backend is program.backend
        measured = found.measure(BATCH)
        for name, array in wanted.outputs.items():
            np.testing.assert_array_equal(measured.outputs[name], array)
        assert measured.counters.spikes == wanted.counters.spikes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mean_values": 0.5, "scale_values": (2, 2, 2), "layout": "nchw"},
        {"calibration": RGB, "max_drift": 20, "objective": "energy"},
    ],
)
def test_a_loaded_program_equals_the_one_that_was_saved(
    options: dict[str, Any], tmp_path: Path
) -> None:
    program = qcompiler.compile(PIXELS, **options)
    program.save(tmp_path / "saved")
    assert qcompiler.load(tmp_path / "saved") == program


def test_host_tables_come_along() -> None:
    program = qcompiler.compile(WORDS, calibration=INDICES)
    assert program.prologue is not None
    for found in (pickled(program), copy.deepcopy(program)):
        assert found == program
        np.testing.assert_array_equal(found.run(INDICES), program.run(INDICES))


def test_a_deep_copy_has_a_manifest_of_its_own_and_constants_stay_read_only() -> None:
    program = compiled("loihi")
    for found in (pickled(program), copy.deepcopy(program)):
        found.manifest["warnings"] = ["mine"]
        assert "mine" not in program.warnings
        assert not any(constant.data.flags.writeable for constant in found.graph.constants)


def test_another_process_reads_a_pickle(tmp_path: Path) -> None:
    program = compiled("loihi")
    (tmp_path / "p").write_bytes(pickle.dumps((program, BATCH)))
    script = (
        "import pickle, sys; p, x = pickle.load(open(sys.argv[1], 'rb')); print(p.run(x).sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "p")],
        capture_output=True,
        text=True,
        check=True,
    )
    output: Any = program.run(BATCH)
    assert done.stdout.strip() == str(output.sum())


def test_targets_without_a_plugin_are_told() -> None:
    program = compiled("reference")
    mine = replace(program, backend=replace(program.backend, name="mine"))
    assert copy.deepcopy(mine).backend is mine.backend
    with pytest.raises(PipelineError, match="the target mine has no plugin"):
        pickle.dumps(mine)


def test_a_program_keeps_its_network() -> None:
    program = compiled("reference")
    wanted = program.run(BATCH)
    other = qcompiler.compile(random_network(12, depth=4), target="reference")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'graph'"):
        program.graph = other.graph  # type: ignore[misc]
    np.testing.assert_array_equal(program.run(BATCH), wanted)
    replaced = replace(program, graph=other.graph)
    assert replaced.engine("fast") is not program.engine("fast")
