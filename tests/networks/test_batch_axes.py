"""Networks whose batch axis is not first, or fixed at 1: compiled, run, compared, explained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import data
from qcompiler.api import inputs_of
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.target import REFERENCE
from qcompiler.explain.diagnosis import explain
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.explain.measure.real_network import real_network
from qcompiler.ir import Graph, ProgramError
from tests.support.onnx_models import Array, ints, model

FRAMES = 40
# The error of a value rounded to 64 levels is a share of 0.02 to 0.03 of its standard deviation,
# if its range is four to six of them. Some four of those add up in these networks.
FEW_ROUNDINGS = 0.1


@dataclass
class Network:
    """A model, the shape of samples of its data, and axes that are stated."""

    inputs: str
    body: str
    shapes: dict[str, tuple[int, ...]]
    weights: dict[str, Any]
    outputs: str = "y"
    stated: dict[str, tuple[int | str, ...]] = field(default_factory=dict)


CELL: dict[str, Any] = {"w": (1, 6, 5), "r": np.eye(6, dtype=np.float32)[None] / 2, "z": ints(0)}
NETWORKS = {
    "time first": Network(
        "float[4,N,5] x",
        "o, e = RNN<hidden_size=6>(x, w, r) s = Squeeze(e, z) y = Gemm(s, v)",
        {"x": (4, 1, 5)},
        {**CELL, "v": (6, 3)},
    ),
    "state in and out": Network(
        "float[N,5] x, float[1,N,6] h",
        "u = Unsqueeze(x, z) o, e = RNN<hidden_size=6>(u, w, r, , , h) s = Squeeze(e, z)"
        " y = Gemm(s, v)",
        {"x": (5,), "h": (1, 6)},
        {**CELL, "v": (6, 3)},
        "y e",
    ),
    "no batch axis": Network(
        "float[2,6,6] x",
        "u = Unsqueeze(x, z) c = Conv(u, w) a = Relu(c) m = GlobalAveragePool(a) y = Squeeze(m)",
        {"x": (2, 6, 6)},
        {"w": (3, 2, 3, 3), "z": ints(0)},
    ),
    "frames": Network(
        "float[N,3,1,6,6] x",
        "r = Reshape(x, s) c = Conv(r, w) a = Relu(c) m = GlobalAveragePool(a) f = Reshape(m, t)"
        " y = Gemm(f, v)",
        {"x": (3, 1, 6, 6)},
        {"w": (2, 1, 3, 3), "s": ints(-1, 1, 6, 6), "t": ints(-1, 6), "v": (6, 3)},
    ),
    "open axes": Network(
        "float[?,2,?,?] x",
        "c = Conv(x, w) a = Relu(c) m = GlobalAveragePool(a) f = Flatten(m) y = Gemm(f, v)",
        {"x": (2, 4, 6)},
        {"w": (3, 2, 3, 3), "v": (3, 2)},
        stated={"x": ("N", 2, 4, 6)},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_network_is_that_of_onnxruntime(name: str, tmp_path: Path) -> None:
    given = NETWORKS[name]
    path, folder = tmp_path / "net.onnx", tmp_path / "program"
    onnx.save(model(given.inputs, given.body, outputs=given.outputs, **given.weights), path)
    rng = np.random.default_rng(5)
    arrays = {n: rng.standard_normal((FRAMES, *s), np.float32) for n, s in given.shapes.items()}
    np.savez(tmp_path / "data.npz", **arrays)
    qcompiler.compile(
        path,
        target="reference",
        t_max=64,
        calibration=tmp_path / "data.npz",
        input_shapes=given.stated,
    ).save(folder)
    program = qcompiler.load(folder)
    found = program.run(*arrays.values())
    first = found[0] if isinstance(found, tuple) else found
    read = data.read(tmp_path / "data.npz", inputs_of(program.graph))
    np.testing.assert_array_equal(program.measure(*read.arrays).outputs["y"], first)
    wanted = run_onnx(path, read, program.manifest)
    assert wanted.shape == first.shape
    assert error(first, wanted) < FEW_ROUNDINGS
    assert not any("different scores" in note for note in explain(program, path, read).notes)


def error(found: Array, wanted: Array) -> float:
    """The root mean square error over the standard deviation."""
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std())


@pytest.mark.parametrize("shapes", [3, {"x": 4}])
def test_a_damaged_manifest_is_told(shapes: Any) -> None:
    empty = Program(Graph("g", (), (), ()), REFERENCE, {"input_shapes": shapes})
    with pytest.raises(ProgramError, match="input_shapes are no shapes"):
        real_network(Path("net.onnx"), empty)
