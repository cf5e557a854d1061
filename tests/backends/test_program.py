"""Programs are written whole or not at all, read back the same, and run no code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.energy.wiring import wiring_of
from qcompiler.backends.host import frames_per_batch, output_nodes
from qcompiler.backends.program.program import Program
from qcompiler.ir import CompileError, DataError, ProgramError
from qcompiler.ir.spiking.integer_network import spiking_nodes
from tests.support.onnx_models import model
from tests.support.planted_faults import corrupt_text
from tests.support.random_networks import random_batch, random_network

GRAPH = random_network(11, depth=4)
BATCH = random_batch(GRAPH, 11, frames=9)


@pytest.fixture(scope="module")
def program() -> Program:
    return qcompiler.compile(
        GRAPH, target="reference", calibration=BATCH, t_max=8, code="one-spike"
    )


def test_saved_and_loaded_programs_are_the_same(program: Program, tmp_path: Path) -> None:
    program.save(tmp_path / "one")
    loaded = qcompiler.load(tmp_path / "one")
    assert loaded.graph == program.graph
    np.testing.assert_array_equal(loaded.run(BATCH), program.run(BATCH))
    assert Program.load(tmp_path / "one") == loaded
    loaded.save(tmp_path / "two")
    for name in ("manifest.json", "network.qir"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("code", ["silent", "burst"])
def test_neurons_that_are_silent_spike_at_no_step(code: str) -> None:
    found = qcompiler.compile(GRAPH, target="reference", calibration=BATCH, t_max=8, code=code)
    levels, steps = found.levels(BATCH), found.spikes(BATCH)
    assert any((array == -1).any() for array in steps.values())
    for node in spiking_nodes(found.graph):
        if getattr(node.op, "coding", "one-spike") == code:
            name = node.result.name
            np.testing.assert_array_equal(steps[name] == -1, levels[name] == 0)


@pytest.mark.parametrize("name", ["n", "h", "y", "x"])
def test_names_that_could_not_be_saved_are_refused(name: str) -> None:
    named = {old: old for old in "nhyx"} | {name: f"{name}\0a"}
    proto = model("float[N,6] x", "h = Gemm(x, w) y = Relu(h)", w=(6, 3))
    first, last = proto.graph.node
    first.name, first.input[0], proto.graph.input[0].name = named["n"], named["x"], named["x"]
    first.output[0] = last.input[0] = named["h"]
    last.output[0] = proto.graph.output[0].name = named["y"]
    with pytest.raises(CompileError) as caught:
        qcompiler.compile(proto)
    (finding,) = caught.value.diagnostics
    assert f"the name '{name}\\x00a" in finding.message and "NUL character" in finding.message
    assert finding.nodes == (last.name if name == "y" else first.name,)
    assert finding.help


def test_the_same_program_replaces_itself(program: Program, tmp_path: Path) -> None:
    for _ in range(2):
        program.save(tmp_path / "p")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p"]


def test_nothing_else_is_replaced(program: Program, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("mine", "file"):
        with pytest.raises(ProgramError, match="no compiled program"):
            program.save(tmp_path / name)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_folder_with_a_manifest_of_others_is_kept(program: Program, tmp_path: Path) -> None:
    mine = tmp_path / "web"
    mine.mkdir()
    (mine / "manifest.json").write_text('{"name": "my web application"}')
    with pytest.raises(ProgramError, match="no compiled program"):
        program.save(mine)
    program.save(tmp_path / "p")
    (tmp_path / "p" / "notes.txt").write_text("mine")
    with pytest.raises(ProgramError, match="no compiled program"):
        program.save(tmp_path / "p")
    assert (tmp_path / "p" / "notes.txt").exists()


def test_links_are_followed(program: Program, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    program.save(tmp_path / "real")
    program.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert qcompiler.load(tmp_path / "link").graph == program.graph


def test_the_current_folder_is_kept(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.save(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    with pytest.raises(ProgramError, match="current folder"):
        program.save(".")


def test_a_failed_write_leaves_nothing(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qcompiler.backends.saving.storage.write_arrays", full)
    with pytest.raises(ProgramError, match="No space left on device"):
        program.save(tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_nothing(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qcompiler.backends.saving.storage.write_arrays", interrupted)
    with pytest.raises(KeyboardInterrupt):
        program.save(tmp_path / "p")
    assert not list(tmp_path.iterdir())


def spoil(directory: Path, how: str) -> None:
    manifest = directory / "manifest.json"
    match how:
        case "missing arrays":
            (directory / "arrays.npz").unlink()
        case "cut arrays":
            path = directory / "arrays.npz"
            path.write_bytes(path.read_bytes()[:100])
        case "pickled arrays":
            arrays = np.array([{"a": 1}], dtype=object)
            np.savez(directory / "arrays.npz", **{"#w": arrays}, allow_pickle=True)
        case "compressed arrays":
            with zipfile.ZipFile(directory / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("#w.npy", b"0" * 10000)
        case "other format":
            manifest.write_text(json.dumps({"format": 99}))
        case "no json":
            manifest.write_text("{" * 100000)
        case "a list":
            manifest.write_text("[]")
        case "other target":
            manifest.write_text(json.dumps({"format": 1, "target": "abacus"}))
        case "bad text":
            (directory / "network.qir").write_bytes(b"\xff\xfe")
        case "no manifest":
            manifest.unlink()
        case "huge":
            (directory / "network.qir").write_text(
                "graph @x(%x: f32[4]) {\n  %big: f32[99999999999] = ann.pad(%x) "
                "{pads=(0, 99999999995)}\n  return %big\n}\n"
            )


HOWS = (
    *("missing arrays", "cut arrays", "pickled arrays", "compressed arrays", "other format"),
    *("no json", "a list", "other target", "bad text", "no manifest", "huge"),
)


@pytest.mark.parametrize("how", HOWS)
def test_a_broken_program_gets_a_sentence(program: Program, tmp_path: Path, how: str) -> None:
    program.save(tmp_path / "p")
    spoil(tmp_path / "p", how)
    with pytest.raises(ProgramError):
        qcompiler.load(tmp_path / "p")


def test_a_tampered_network_is_refused(program: Program, tmp_path: Path) -> None:
    program.save(tmp_path / "p")
    path = tmp_path / "p" / "network.qir"
    lines = path.read_text().splitlines()
    index = next(i for i, line in enumerate(lines) if "snn.population" in line)
    threshold = lines[index].split("threshold=")[1].split(" ")[0]
    lines[index] = lines[index].replace(f"threshold={threshold}", f"threshold={int(threshold) - 7}")
    path.write_text("\n".join(lines))
    with pytest.raises(CompileError, match="do not span its window"):
        qcompiler.load(tmp_path / "p")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"window=\([\d, ]+\)", "window=(3, 5)"),
        (r"window=\([\d, ]+\)", "window=None"),
        (r"window=\((\d+)", r"window=(\1.0"),
        (r"threshold=\d+", "threshold='a'"),
        (r"\{at=\d+\}", "{at='9'}"),
        (r"return .*", "return %input"),
        (r" t=\d+ ", " t=1000000000 "),
        (r"scale=[\d.e-]+ (start|zero)", r"scale=1e-320 \1"),
        (r"\}\n$", "}\nmore\n"),
        (r"role='force'", "role='farce'"),
        (r"shape=\([\d, ]+\)", "shape=(-1,)"),
    ],
)
def test_a_spoilt_text_is_refused(
    program: Program, tmp_path: Path, pattern: str, text: str
) -> None:
    corrupt_text(program, tmp_path / "p", pattern, text)
    with pytest.raises(CompileError):
        qcompiler.load(tmp_path / "p")


def test_engines_are_the_same_through_the_program(program: Program) -> None:
    fast = program.measure(BATCH, engine="fast")
    steps = program.measure(BATCH, engine="steps")
    assert fast.counters == steps.counters
    for name, array in fast.outputs.items():
        np.testing.assert_array_equal(array, steps.outputs[name])
    one, other = program.spikes(BATCH, engine="fast"), program.spikes(BATCH, engine="steps")
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_pieces_make_the_whole(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = program.measure(BATCH)
    monkeypatch.setattr("qcompiler.backends.program.runs.frames_per_batch", lambda graph: 2)
    seen: list[int] = []
    pieces = program.measure(BATCH, progress=seen.append)
    assert seen == [2, 4, 6, 8, 9]
    assert pieces.counters == whole.counters
    np.testing.assert_array_equal(pieces.outputs["output"], whole.outputs["output"])


def test_memory_of_a_batch_is_bounded(program: Program) -> None:
    assert 1 <= frames_per_batch(program.graph, budget=1) <= frames_per_batch(program.graph) <= 256


def test_counters_mean_what_they_say(program: Program) -> None:
    counters = program.measure(BATCH, engine="steps").counters
    report = program.report()
    assert counters.spikes == len(BATCH) * report.neurons
    assert report.synapses == wiring_of(program.graph).synapses
    assert counters.events == len(BATCH) * report.synapses
    spikes = program.spikes(BATCH)
    assert counters.spikes == sum(steps.size for steps in spikes.values())
    ends = {node.result.name for node in output_nodes(program.graph)}
    last = np.max([steps for name, steps in spikes.items() if name in ends], axis=0)
    assert counters.last == last.max() <= report.latency_steps
    outputs = program.run(BATCH)
    assert isinstance(outputs, np.ndarray)
    chosen = outputs.reshape(len(outputs), -1).argmax(axis=1)
    assert counters.first == last.reshape(len(last), -1)[np.arange(len(last)), chosen].sum()


@pytest.mark.parametrize(
    "data",
    [BATCH[:0], BATCH[:, :-1], np.full_like(BATCH, np.nan), BATCH.astype(object)],
    ids=["empty", "shape", "nan", "objects"],
)
def test_data_that_do_not_fit_are_refused(program: Program, data: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError):
        program.run(data)


def test_an_unknown_engine_is_refused(program: Program) -> None:
    with pytest.raises(ProgramError, match="choose fast, steps, events, lava"):
        program.run(BATCH, engine="quick")


def test_frames_may_be_flat(program: Program) -> None:
    flat = BATCH.reshape(len(BATCH), -1)
    np.testing.assert_array_equal(program.run(flat), program.run(BATCH))


def test_inputs_are_batches_and_no_list(program: Program) -> None:
    with pytest.raises(DataError, match="takes frames of shape"):
        program.run(BATCH[0])
    with pytest.raises(DataError, match="one by one"):
        program.run([BATCH, BATCH[:3]])


def test_each_input_is_one_array_of_as_many_frames(program: Program) -> None:
    with pytest.raises(DataError, match=r"give one array for each input, .* \(2 given\)"):
        program.run(BATCH, BATCH)
    net = model("float[N,3] a, float[N,2] b", "y = Concat <axis=1> (a, b)")
    two = qcompiler.compile(net, target="reference")
    given = np.ones((4, 3), np.float32), np.ones((3, 2), np.float32)
    with pytest.raises(DataError, match="differ in their number of frames: 4 for a, 3 for b"):
        two.run(*given)
