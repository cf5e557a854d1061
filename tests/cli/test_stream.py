"""`qcompile --state` and `qrun --stream`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.frontend.import_model import import_model
from qcompiler.streaming.pairs import proposed
from tests.support.cells import cell, run_recurrently, sequences
from tests.support.onnx_models import model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell, its program, and sequences."""
    place = tmp_path_factory.mktemp("stream")
    onnx.save(cell("elman"), place / "cell.onnx")
    np.savez(place / "calibration.npz", x=sequences(8, 40))
    np.savez(place / "test.npz", x=sequences(4, 30, seed=1), labels=np.array([0, 1, 2, 0]))
    np.save(place / "one.npy", sequences(1, 30, seed=1)[0])
    given = ["--calibration", str(place / "calibration.npz"), "--state", "h_out:h_in"]
    given += ["--target", "reference", "-q", "-o", str(place / "out")]
    assert qcompile.main([str(place / "cell.onnx"), *given]) == 0
    return place


def run(folder: Path, data: str, *options: str, program: str = "out") -> int:
    return qrun.main([str(folder / program), str(folder / data), "-q", *options])


def test_stream_against_the_model(folder: Path, capsys: Any) -> None:
    against = ["--stream", "--against", str(folder / "cell.onnx"), "--json"]
    assert run(folder, "test.npz", *against, "-o", str(folder / "y.npz")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 120 and found["states"] == ["h_out:h_in"]
    assert found["outputs"]["y"]["error"] < 0.15
    assert found["frame_interval_steps"] > found["latency_steps"]
    wanted = run_recurrently(cell("elman"), sequences(4, 30, seed=1))["y"].reshape(120, 3)
    ours = np.load(folder / "y.npz")["y"]
    assert np.sqrt(np.square(ours - wanted).mean()) < 0.15 * wanted.std()


@pytest.mark.parametrize("data", ["test.npz", "one.npy"])
def test_labels_of_frames_or_of_sequences(data: str, folder: Path, capsys: Any) -> None:
    """One for each frame, or for each of the sequences; others are refused before the run."""
    count = 4 if data == "test.npz" else 1
    program_says = np.load(folder / "y.npz")["y"] if (folder / "y.npz").exists() else None
    if program_says is None or len(program_says) != 30 * count:
        assert run(folder, data, "--stream", "-o", str(folder / "said.npz")) == 0
        program_says = np.load(folder / "said.npz")["y"]
    right, file = program_says.argmax(1), folder / "labels.txt"
    capsys.readouterr()
    for labels, accuracy in ((right, 1.0), (right.reshape(count, 30)[:, 0], None)):
        file.write_text("\n".join(map(str, labels)))
        assert run(folder, data, "--stream", "--labels", str(file), "--json") == 0
        found = json.loads(capsys.readouterr().out)["accuracy"]
        assert found == accuracy or (accuracy is None and found > 0)
    for labels, said in (([0] * 7, "there are 7 labels for"), ([3] * count, "not 3")):
        file.write_text("\n".join(map(str, labels)))
        assert run(folder, data, "--stream", "--labels", str(file)) == 1
        assert said in capsys.readouterr().err


def test_one_sequence_is_the_first_of_several(folder: Path) -> None:
    for data, name in (("test.npz", "all.npz"), ("one.npy", "one.npz")):
        assert run(folder, data, "--stream", "--limit", "20", "-o", str(folder / name)) == 0
    both = (np.load(folder / name)["y"] for name in ("all.npz", "one.npz"))
    whole, one = both
    assert (len(whole), len(one)) == (80, 20)


def test_stream_is_explained(folder: Path, capsys: Any) -> None:
    model = str(folder / "cell.onnx")
    assert run(folder, "test.npz", "--stream", "--against", model, "--explain") == 0
    told = capsys.readouterr().out
    assert "h_out:state" in told
    assert "note        this explains single frames, which begin from states without errors" in told


@pytest.mark.parametrize(("share", "wrong"), [(0.4, False), (0.02, True)])
def test_inputs_are_wrong_only_if_they_make_the_error(
    share: float, wrong: bool, folder: Path, capsys: Any
) -> None:
    """Two fifths of an input's range are 25 of 64 levels, and lose 1 % of the variance."""
    np.savez(folder / "share.npz", x=share * np.load(folder / "test.npz")["x"])
    model = str(folder / "cell.onnx")
    assert run(folder, "share.npz", "--stream", "--against", model, "--explain") == 0
    assert ("the input is wrong" in capsys.readouterr().out) is wrong


def test_verified(folder: Path) -> None:
    given = [str(folder / name) for name in ("out", "cell.onnx", "calibration.npz")]
    assert qcompile.main(["--verify", *given]) == 0


def test_messages(folder: Path, capsys: Any) -> None:
    def told(status: int) -> str:
        assert status == 1
        text = str(capsys.readouterr().err)
        assert "Traceback" not in text
        return text

    assert "add --stream" in told(run(folder, "one.npy"))
    wrong = np.zeros((4, 30, 4)), np.zeros(7, int)
    np.savez(folder / "wrong.npz", x=wrong[0], labels=wrong[1])
    assert "one for each frame, or for each sequence" in told(run(folder, "wrong.npz", "--stream"))
    np.save(folder / "wide.npy", np.zeros((30, 5)))
    assert "expects (4,)" in told(run(folder, "wide.npy", "--stream"))
    model = [str(folder / "cell.onnx"), "-q", "-o", str(folder / "plain")]
    x, h = sequences(1, 40)[0], np.zeros((40, 8))
    np.savez(folder / "frames.npz", x=x, h_in=h)
    assert qcompile.main([*model, "--calibration", str(folder / "frames.npz")]) == 0
    capsys.readouterr()
    assert "no states" in told(run(folder, "one.npy", "--stream", program="plain"))


NAMES = {
    "h_in h_out": True,
    "state stateN": True,
    "h0 hn": True,
    "past_key present_key": True,
    "input output": False,
    "a b": False,
}


@pytest.mark.parametrize("names", NAMES)
def test_pairs_by_name(names: str) -> None:
    before, after = names.split()
    body = f"{after} = Add(x, {before}) y = Relu({after})"
    proto = model(f"float[N,4] x, float[N,4] {before}", body, outputs=f"y {after}")
    found = [str(state) for state in proposed(import_model(proto).graph)]
    assert found == ([f"{after}:{before}"] if NAMES[names] else [])
