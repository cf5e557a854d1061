"""Embeddings: rows of a table by indices, which the host looks up in front of the network."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.frontend.import_model import check_model
from qcompiler.ir import (
    Builder,
    CompileError,
    CompileWarning,
    Constant,
    DataError,
    Graph,
    InvalidGraph,
    Tensor,
    UnsupportedModel,
)
from qcompiler.ir.ann import Clip, Embed
from qcompiler.ir.prologue import split_prologue
from tests.support.onnx_models import model, run_onnx

HEAD = "m = ReduceMean<axes=[1],keepdims=0>(e) h = Gemm(m, V) a = Relu(h) y = Gemm(a, W)"
WORDS = f"e = Gather(E, ids) {HEAD}"
WEIGHTS: dict[str, Any] = {"E": (50, 8), "V": (8, 8), "W": (8, 3)}


def error(proto: onnx.ModelProto, *data: Any, **options: Any) -> float:
    """The error of a compiled program, as a share of the output's spread; its engines agree."""
    names = [value.name for value in proto.graph.input]
    calibration = dict(zip(names, data, strict=True))
    (wanted,) = run_onnx(proto, calibration)
    program = qcompiler.compile(proto, calibration=calibration, **options)
    found = program.run(*data)
    few = [array[:8] for array in data]
    np.testing.assert_array_equal(found[:8], program.run(*few, engine="steps"))
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std())


def indices(*shape: int, rows: int = 50) -> Any:
    return np.random.default_rng(1).integers(0, rows, shape)


@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_words(kind: str, target: str) -> None:
    proto = model(f"{kind}[N,6] ids", WORDS, 13, **WEIGHTS)
    assert error(proto, indices(200, 6).astype(kind), target=target) < 0.06


@pytest.mark.parametrize(
    ("inputs", "body", "shapes"),
    [
        (
            "int64[N] user, int64[N] item",
            "u = Gather(E, user) v = Gather(E, item) c = Concat<axis=1>(u, v) y = Gemm(c, D)",
            [(), ()],
        ),
        ("int64[N,6] ids", f"t = Gather<axis=1>(ids, i) e = Gather(E, t) {HEAD}", [(6,)]),
        ("float[N,6] x", f"ids = Cast<to=7>(x) e = Gather(E, ids) {HEAD}", [(6,)]),
        ("int64[N,6] ids", f"w = Gather(E, ids) e = Add(w, P) {HEAD}", [(6,)]),
        (
            "int64[N,6] ids, int64[N,6] kinds, float[N,6] x",
            "w = Gather(E, ids) k = Gather(E, kinds) e = Add(w, k) "
            "s = ReduceMean<axes=[1],keepdims=0>(e) c = Concat<axis=1>(s, x) y = Gemm(c, U)",
            [(6,), (6,), (6,)],
        ),
    ],
)
def test_what_else_is_embedded(inputs: str, body: str, shapes: list[tuple[int, ...]]) -> None:
    proto = model(
        inputs, body, 13, **WEIGHTS, P=(6, 8), U=(14, 3), D=(16, 3), i=np.array([0, 2, 1])
    )
    chance = np.random.default_rng(2)
    kinds = [part.split("[")[0].strip() for part in inputs.split(", ")]
    arrays: list[Any] = []
    for kind, shape in zip(kinds, shapes, strict=True):
        found = indices(200, *shape) - 1  # the last row, too, as -1
        if kind == "float":  # which a cast cuts off, to -0 or more
            found = (found + chance.uniform(0, 0.9, found.shape)).astype(np.float32)
        arrays.append(found)
    assert error(proto, *arrays, target="reference", t_max=32) < 0.06


def test_saved_program_and_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proto = model("int64[N,6] ids", WORDS, 13, **WEIGHTS)
    file, data, out = tmp_path / "m.onnx", tmp_path / "d.npz", tmp_path / "p"
    onnx.save(proto, file)
    np.savez(data, ids=indices(60, 6))
    options = ["--calibration", str(data), "--t-max", "32"]
    assert qcompile.main([str(file), "-o", str(out), *options]) == 0
    assert "e, in front of the network" in capsys.readouterr().out
    assert qrun.main([str(out), str(data), "--against", str(file), "--explain"]) == 0
    assert "agreement" in capsys.readouterr().out
    assert qcompile.main([str(file), "--check", *options]) == 0
    assert "looked up in a table in front" in capsys.readouterr().out
    assert not qcompiler.api.verify_program(out, file, data)
    program = qcompiler.load(out)
    assert [node.result.name for node in program.host_nodes] == ["e"]
    for wrong, reason in ((50, "not in its table of 50 rows"), (0.5, "no whole number")):
        ids = indices(600, 6).astype(float)
        ids[500, 3] = wrong
        np.savez(data, ids=ids)
        assert qrun.main([str(out), str(data)]) == 1
        sentence = (
            f'the data for ids, frame 500: the index {wrong} is {reason}\n  --> node "e_node"'
        )
        assert sentence in capsys.readouterr().err


def test_saved_without_calibration(tmp_path: Path) -> None:
    proto = model("int64[N,6] ids", WORDS, 13, **WEIGHTS)
    program = qcompiler.compile(proto, target="reference")
    program.save(tmp_path / "p")
    loaded = qcompiler.load(tmp_path / "p")
    assert (loaded.graph, loaded.prologue) == (program.graph, program.prologue)
    data = indices(9, 6)
    np.testing.assert_array_equal(loaded.run(data), program.run(data))


def test_a_tied_table() -> None:
    body = "e = Gather(E, ids) m = ReduceMean<axes=[1],keepdims=0>(e) y = Gemm<transB=1>(m, E)"
    proto = model("int64[N,6] ids", body, 13, E=(50, 8))
    assert error(proto, indices(200, 6), target="reference", t_max=32) < 0.06


@pytest.mark.parametrize("wrong", [-51, 50, 1 << 40])
def test_indices_beyond_the_table(wrong: int) -> None:
    proto = model("int64[N,6] ids", WORDS, 13, **WEIGHTS)
    with pytest.raises(DataError, match=f"the index {wrong} is not in its table of 50 rows"):
        qcompiler.compile(proto, target="reference", calibration=np.full((4, 6), wrong))


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_fractions_are_no_indices(kind: str) -> None:
    body = f"t = Gather<axis=1>(ids, i) e = Gather(E, t) {HEAD}"
    proto = model(f"{kind}[N,6] ids", body, 13, i=np.array([0, 2, 1]), **WEIGHTS)
    program = qcompiler.compile(proto, target="reference", calibration=indices(60, 6))
    program.run(indices(60, 6).astype(np.float32))
    wrong = indices(60, 6) + np.where(np.arange(60) == 7, 0.25, 0)[:, None]
    reason = "the data for ids, frame 7: the index .*[.]25 is no whole number"
    with pytest.raises(DataError, match=reason):
        program.run(wrong)
    with pytest.raises(DataError, match=reason):
        program.run([(wrong[:5],), (wrong[5:],)].__iter__())
    with pytest.raises(DataError, match=reason):
        qcompiler.compile(proto, target="reference", calibration=wrong)


def test_ranges_of_tables_are_told_where_they_are_too_wide() -> None:
    """A mean of rows moves much less than the rows."""
    proto = model("int64[N,6] ids", WORDS, 13, **WEIGHTS)
    with pytest.warns(CompileWarning, match='no calibration data: the error of output "y" is'):
        program = qcompiler.compile(proto, target="reference")
    assert len(program.warnings) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qcompiler.compile(proto, target="reference", calibration=indices(60, 6))
        body = "r = Gather(E, ids) e = Flatten(r) y = Gemm(e, W)"
        program = qcompiler.compile(model("int64[N,1] ids", body, 13, **WEIGHTS), t_max=64)
    assert not program.warnings


def test_rows_of_a_table_are_outputs() -> None:
    """Without data they have the range of the table, whose levels they are rounded to."""
    table = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    proto = model("int64[N,1] ids", "y = Gather(E, ids)", 13, E=table)
    program = qcompiler.compile(proto, target="reference")
    found = program.run(indices(60, 1))
    assert np.abs(found - table[indices(60, 1)]).max() <= np.ptp(table) / 15  # a level


@pytest.mark.parametrize("target", ["brian2", "nir", "loihi"])
def test_other_targets(target: str, tmp_path: Path) -> None:
    """The network's file for NIR has rows as its inputs; there is no network.py without tables."""
    proto = model("int64[N,6] ids", WORDS, 13, **WEIGHTS)
    file, out, ids = tmp_path / "m.onnx", tmp_path / "p", indices(60, 6)
    onnx.save(proto, file)
    if target == "nir":
        pytest.importorskip("nir")
    program = qcompiler.compile(file, target=target, calibration=ids)
    program.save(out)
    assert (out / "network.nir").exists() == (target == "nir")
    assert not (out / "network.py").exists()
    assert not qcompiler.api.verify_program(out, file, ids)
    other = replace(program, prologue=_with_doubled_table(program.prologue))
    other.save(out)
    assert "the networks differ" in " ".join(qcompiler.api.verify_program(out, file, ids))
    if target == "brian2":
        pytest.importorskip("brian2")
        few = ids[:2]
        np.testing.assert_array_equal(program.run(few), program.run(few, engine="brian2"))


def _with_doubled_table(prologue: Graph | None) -> Graph:
    assert prologue is not None
    (node,) = prologue.nodes
    table = Constant("E", node.arrays[0] * 2)
    return replace(prologue, nodes=(replace(node, operands=(node.operands[0], table)),))


def test_data_that_are_no_numbers() -> None:
    proto = model("float[N,6] x", f"ids = Cast<to=7>(x) e = Gather(E, ids) {HEAD}", 13, **WEIGHTS)
    with pytest.raises(DataError, match="the data for x contain NaN or infinite values"):
        qcompiler.compile(proto, target="reference", calibration=np.full((4, 6), np.nan))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("h = Relu(x) i = Cast<to=7>(h) y = Gather(E, i)", "at indices that the network computes"),
        ("i = Cast<to=7>(x) y = Gather<axis=1>(E, i)", "only supported on axis 0"),
        ("i = Cast<to=7>(x) y = Gather(x, i)", "from a value at indices"),
    ],
)
def test_what_is_not_looked_up(body: str, reason: str) -> None:
    proto = model("float[N,6] x", body, 13, E=(50, 8))
    found = [one for one in check_model(proto) if one.kind == "refused"]
    assert reason in (found[0].reason or "")
    with pytest.raises(UnsupportedModel, match=reason):
        qcompiler.compile(proto, target="reference")


def test_a_damaged_program_is_refused(tmp_path: Path) -> None:
    proto = model("int64[N,6] ids", WORDS, 13, **WEIGHTS)
    qcompiler.compile(proto, target="reference").save(tmp_path)
    text = (tmp_path / "network.qir").read_text()
    (tmp_path / "network.qir").write_text(text.replace("ann.embed(%ids, ", "ann.embed(%e, "))
    with pytest.raises(CompileError):
        qcompiler.load(tmp_path)
    chained = chain()
    with pytest.raises(InvalidGraph, match="the host does not compute %b in front of a table"):
        split_prologue(chained)


def chain() -> Graph:
    """A table that is read at what the network computes."""
    builder = Builder()
    x = builder.input("x", Tensor((6,)))
    doubled = builder.add(Clip(0.0), x, name="b")
    table = Constant("t", np.ones((5, 2), np.float32))
    return builder.build([builder.add(Embed(), doubled, table, name="y")])
