"""Data sets are read batch by batch: memory is bounded, and an interrupt leaves what is done."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import api
from qcompiler.backends.program.program import Program
from qcompiler.cli.running import qrun
from qcompiler.data import Data, DataSet, Stream, open_stream
from qcompiler.data.streamed_run import StreamedRun, run_stream
from qcompiler.ir import DataError, PipelineError, ProgramError
from tests.support.onnx_models import model

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (700, 3, 32, 32), dtype=np.uint8)
LABELS = RNG.integers(0, 4, 700)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its program and data in more than one batch."""
    found = tmp_path_factory.mktemp("streaming")
    weights = RNG.standard_normal((3072, 4)).astype(np.float32)
    proto = model("float[N,3,32,32] x", "f = Flatten(x)\ny = MatMul(f, w)", w=weights)
    onnx.save(proto, found / "net.onnx")
    np.savez(found / "d.npz", images=PIXELS, labels=LABELS)
    given: dict[str, Any] = {"calibration": PIXELS, "scale_values": 255, "effort": 0}
    qcompiler.compile(proto, target="reference", **given).save(found / "p")
    return found


def stream_of(program: Program, path: Path, **options: Any) -> Stream:
    return open_stream(DataSet(path, **options), api.inputs_of(program.graph))


@pytest.mark.parametrize(
    "wrong",
    [(), [], None, "x", {"x": (3,)}, [("x", 5)], [(1, (2,))], [("x", ("a",))], [5], [("x", (-1,))]],
)
def test_inputs_are_names_and_shapes(wrong: Any, folder: Path) -> None:
    with pytest.raises(DataError, match="inputs must be pairs of a name and a shape"):
        open_stream(folder / "d.npz", wrong)


def test_wrong_streams_are_a_sentence(folder: Path) -> None:
    program, given = qcompiler.load(folder / "p"), folder / "d.npz"
    assert len(open_stream(given, [["x", [3, 32, 32]]]).spread(2)) == 2  # type: ignore[list-item]
    wrongs: tuple[Any, ...] = (None, "x", PIXELS, DataSet(given))
    for wrong in wrongs:
        with pytest.raises(DataError, match="run_stream takes what open_stream gives, not"):
            run_stream(program, wrong)
        with pytest.raises(ProgramError, match="run_stream runs a program, not"):
            run_stream(wrong, stream_of(program, given))
    five: Any = 5
    for name in ("progress", "reference"):
        with pytest.raises(PipelineError, match=f"{name} must be a function"):
            run_stream(program, stream_of(program, given), **{name: five})


NUMBERS: tuple[Any, ...] = (0, -1, True, 2.5, float("nan"), "9", b"9", (), [1], np.array([1, 2]))


@pytest.mark.parametrize("wrong", NUMBERS)
def test_numbers_of_frames_are_from_1_on(wrong: Any, folder: Path) -> None:
    program, given = qcompiler.load(folder / "p"), folder / "d.npz"
    stream = stream_of(program, given)
    calls: dict[str, Callable[[], Any]] = {
        "limit": lambda: open_stream(given, api.inputs_of(program), limit=wrong),
        "size": lambda: list(stream.batches(wrong)),
        "count": lambda: stream.spread(wrong),
    }
    for name, call in calls.items():
        with pytest.raises(DataError, match=f"{name} must be a number from 1 on, not"):
            call()


PLACES: tuple[Any, ...] = (
    *(5, True, 2.5, "x", b"x", {1}, object(), [None], [[1]], [[1], [2, 3]], [10**30]),
    *([True], [0.0], [-1], [700], [2, 1], [1, 1], range(690, 710)),
)


@pytest.mark.parametrize("wrong", PLACES)
def test_places_are_ascending_numbers_of_frames(wrong: Any, folder: Path) -> None:
    program, given = qcompiler.load(folder / "p"), folder / "d.npz"
    stream = stream_of(program, given)
    reads = (
        lambda: list(stream.batches(7, wrong)),
        lambda: run_stream(program, stream, places=wrong),
    )
    for call in reads:
        with pytest.raises(
            DataError, match="places must be ascending numbers of frames, from 0 to"
        ):
            call()
    given_array: Any = np.array([0, 3])
    some = run_stream(program, stream, places=given_array)
    assert some.counters.frames == 2


def test_batches_and_parts_add_up_to_the_whole(folder: Path) -> None:
    program = qcompiler.load(folder / "p")
    whole = program.measure(PIXELS)
    found = run_stream(program, stream_of(program, folder / "d.npz"))
    np.testing.assert_array_equal(found.measured.outputs["y"], whole.outputs["y"])
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.counters == whole.counters
    parts = StreamedRun()
    for places in (range(300), range(300, 700)):
        stream = stream_of(program, folder / "d.npz")
        parts.extend(run_stream(program, stream, places=places))
    np.testing.assert_array_equal(parts.measured.outputs["y"], whole.outputs["y"])
    assert parts.counters == whole.counters


def test_an_interrupt_leaves_what_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    batches = Stream.batches

    def interrupted(stream: Stream, size: int, places: Sequence[int] | None = None) -> Any:
        yield next(batches(stream, size, places))
        if size == 256:
            raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "batches", interrupted)
    monkeypatch.chdir(folder)
    assert qrun.main(["p", "d.npz", "--json", "-o", "out.npz"]) == 1
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert figures["interrupted"]
    assert figures["frames"] == len(np.load("out.npz")["y"]) == 256
    assert "warning: interrupted: results are those of 256 of 700 frames" in err


def test_an_interrupt_before_the_first_batch_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def interrupted(*_: Any) -> Iterator[Data]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "batches", interrupted)
    monkeypatch.chdir(folder)
    assert qrun.main(["p", "d.npz"]) == 1
    assert capsys.readouterr().err == "error: interrupted; nothing was written\n"


PLUGIN = """
import numpy as np
from qcompiler.data import Data, Reader, Source

class Frames(Source):
    def __init__(self, path, wanted):
        super().__init__()
        self.values = np.array([int(line) for line in path.read_text().split()], np.float32)
        self.shape = wanted.inputs[0][1]

    def __len__(self):
        return len(self.values)

    def batches(self, size, places=None):
        chosen = self.values if places is None else self.values[list(places)]
        for begin in range(0, len(chosen), size):
            part = chosen[begin : begin + size]
            yield Data((np.stack([np.full(self.shape, value) for value in part]),))

READER = Reader("counts", "a file of counts", lambda path: path.suffix == ".counts", Frames)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counts_plugin.py").write_text(PLUGIN)
    info = tmp_path / "counts_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counts-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[qcompiler.readers]\ncounts = counts_plugin:READER\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("plugin")
def test_plugins_bring_readers(folder: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "d.counts").write_text("1 2 3 4 250")
    assert qrun.main([str(folder / "p"), str(tmp_path / "d.counts"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 5
    with pytest.raises(DataError, match=r"resize is of no use for .*, which is a file of counts"):
        open_stream(DataSet(tmp_path / "d.counts", resize=8), (("x", (1,)),))


def peak(program: Program, path: Path) -> int:
    """Bytes that a run over a data set takes at most."""
    tracemalloc.start()
    try:
        run_stream(program, stream_of(program, path))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_data(folder: Path, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    program, sizes = qcompiler.load(folder / "p"), (600, 1800)
    pillow.fromarray(PIXELS[0].transpose(1, 2, 0)).save(tmp_path / "0.jpg")
    for size in sizes:
        images = tmp_path / str(size)
        images.mkdir()
        for index in range(size):
            (images / f"{index}.jpg").hardlink_to(tmp_path / "0.jpg")
    peak(program, tmp_path / "600")  # loads what is loaded once
    few, many = (peak(program, tmp_path / str(size)) for size in sizes)
    held = (sizes[1] - sizes[0]) * PIXELS[0].size
    assert many - few < held / 4  # names and outputs are much smaller than images
