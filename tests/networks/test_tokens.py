"""Networks with states that read words: the host computes with integers in front of each frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.program.stream import run_stream
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.comparison.compared_outputs import values
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import DataError, PipelineError
from qcompiler.ir.prologue import split_prologue
from qcompiler.streaming.pairs import states_of
from qcompiler.streaming.rollout import rollout
from qcompiler.streaming.sequences import read_sequences
from tests.support.cells import cell, run_recurrently
from tests.support.onnx_models import model

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
WORDS = 10
# As Keras spells them: negative indices count from the end. 0 is padding, whose row adds nothing.
_LOOK_UP = """
    below = Less(x, none) up = Add(x, words) index = Where(below, up, x) rows = Gather(E, index)
    pad = Equal(x, none) there = Not(pad) mask = Cast<to = 1>(there) column = Unsqueeze(mask, last)
    row = Mul(rows, column)
"""


def language(kind: str) -> onnx.ModelProto:
    """A cell that reads a word in each frame, by its row in a table."""
    found, rng = cell(kind, hidden=4), np.random.default_rng(3)
    known: dict[str, Any] = {
        "E": rng.normal(size=(WORDS, 4)).astype(np.float32),
        "none": np.array(0),
        "words": np.array(WORDS),
        "last": np.array([-1]),
    }
    front = model("int64[N] x", _LOOK_UP, outputs="row", **known).graph
    for node in found.graph.node:
        node.input[:] = ["row" if name == "x" else name for name in node.input]
    front.node.extend(found.graph.node)
    front.initializer.extend(found.graph.initializer)
    front.input.extend(one for one in found.graph.input if one.name != "x")
    front.ClearField("output")
    front.output.extend(found.graph.output)
    found.graph.CopyFrom(front)
    return found


def words(count: int, frames: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-WORDS, WORDS, (count, frames))


@pytest.mark.parametrize("kind", ["elman", "gru", "lstm"])
def test_the_graph_is_that_of_the_model(kind: str) -> None:
    proto, x = language(kind), words(3, 9)
    whole = import_model(proto, allow_products=True).graph
    prologue, network = split_prologue(whole)
    states = states_of(whole, "auto")
    arrays = rollout(network, states, read_sequences(x, whole, states).behind(prologue))
    found = values(network, arrays, list(network.output_names))
    for name, right in run_recurrently(proto, x).items():
        np.testing.assert_allclose(found[name].reshape(right.shape), right, 1e-4, 1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simplest cell, its program, and sequences of words."""
    place = tmp_path_factory.mktemp("tokens")
    onnx.save(language("elman"), place / "model.onnx")
    np.savez(place / "calibration.npz", x=words(8, 20), labels=np.arange(8) % 3)
    np.savez(place / "test.npz", x=words(4, 12, 1))
    given = ["--calibration", str(place / "calibration.npz"), "--state", "auto", "--t-max", "64"]
    given += ["--target", "reference", "--effort", "0", "-q", "-o", str(place / "out")]
    assert qcompile.main([str(place / "model.onnx"), *given]) == 0
    return place


def test_streams_of_words(folder: Path, capsys: Any) -> None:
    program, x = qcompiler.load(folder / "out"), words(4, 12, 1)
    found = run_stream(program, (x,), count=False).outputs
    for name, right in run_recurrently(language("elman"), x).items():
        error = found[name].reshape(right.shape) - right
        assert np.sqrt(np.square(error).mean()) < 0.05 * right.std()
    streams, alone = [program.stream(engine) for engine in ("fast", "steps")], program.stream()
    for at in range(2):
        for stream in streams:
            wanted = found["y"].reshape(4, 12, 3)[:, at]
            np.testing.assert_array_equal(stream.step(x[:, at]), wanted)
        np.testing.assert_array_equal(alone.step({"x": x[1, at]}), wanted[1])
    against = ["--stream", "--against", str(folder / "model.onnx"), "--json", "-q"]
    assert qrun.main([str(folder / "out"), str(folder / "test.npz"), *against]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 48 and told["outputs"]["y"]["error"] < 0.05


@pytest.mark.lava
def test_lava_takes_words(folder: Path) -> None:
    proto, x = language("elman"), words(1, 2, 1)
    given: Any = {"target": "loihi", "t_max": 8, "states": "auto", "calibration": words(8, 20)}
    program = qcompiler.compile(proto, **given)
    one, other = (
        run_stream(program, (x,), engine, count=False).outputs for engine in ("fast", "lava")
    )
    np.testing.assert_array_equal(one["y"], other["y"])


def test_words_that_are_in_no_table(folder: Path, capsys: Any) -> None:
    program, x = qcompiler.load(folder / "out"), words(4, 12, 1)
    x[2, 7] = WORDS
    wrong = "sequence 2: the data for x, frame 7: the index 10 is not in its table"
    with pytest.raises(DataError, match=wrong):
        run_stream(program, (x,))
    with pytest.raises(DataError, match=wrong):
        qcompiler.compile(folder / "model.onnx", calibration=x, states="auto")


def test_check_with_sequences(folder: Path, capsys: Any) -> None:
    given = ["--check", "--calibration", str(folder / "calibration.npz"), "--state", "auto"]
    assert qcompile.main([str(folder / "model.onnx"), *given, "--json", "-q"]) == 0
    kinds = {node["node"]: node["becomes"] for node in json.loads(capsys.readouterr().out)["nodes"]}
    assert kinds["index_node"] == kinds["rows_node"] == "host"


def test_states_that_the_host_reads() -> None:
    body = (
        "at = Cast<to = 7>(h_in) rows = Gather(E, at) row = Flatten(rows) s = Add(row, x) "
        "h_out = ReduceSum(s, last)"
    )
    known: dict[str, Any] = {"E": (9, 3), "last": np.array([-1])}
    proto = model("float[N,3] x, float[N,1] h_in", body, 13, outputs="h_out", **known)
    with pytest.raises(PipelineError, match="h_in is not read by the network, but by the host"):
        qcompiler.compile(proto, calibration=np.ones((2, 5, 3)), states="h_out:h_in")
