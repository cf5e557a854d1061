"""Packed arrays beyond what is held in memory, and numbers in files that are not finite."""

from __future__ import annotations

import gc
import gzip
import io
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from qcompiler.data import DataSet, open_stream, read, reading
from qcompiler.data.frames import sequential
from qcompiler.data.frames.numpy_files import arrays_in
from qcompiler.data.readers import cifar
from qcompiler.ir import DataError
from tests.data.test_archives import COLOURED, archive, idx
from tests.data.test_archives import batch as cifar_batch

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 256, (50, 3, 4), dtype=np.uint8)
INPUT = (("x", (3, 4)),)


def write(path: Path) -> None:
    match path.name:
        case "stored.npz":
            np.savez(path, x=VALUES, y=np.arange(50))
        case "packed.npz":
            np.savez_compressed(path, x=VALUES.astype(">f4"), y=np.arange(50))
        case "columns.npz":
            np.savez(path, x=np.asfortranarray(VALUES), y=np.arange(50))
        case _:
            pack = gzip.compress if path.suffix == ".gz" else bytes
            path.write_bytes(pack(idx(VALUES)))
            labels = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
            labels.write_bytes(pack(idx(np.arange(50))))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("reader", [arrays_in, lambda path: read(path, INPUT)])
def test_an_array_that_is_there_twice(reader: Any, tmp_path: Path) -> None:
    """Of which zipfile reads the last."""
    path = tmp_path / "d.npz"
    np.savez(path, x=VALUES, y=np.arange(50))
    with ZipFile(path, "a") as archive, archive.open("x.npy", "w") as file:
        np.save(file, VALUES + 1)
    with pytest.raises(DataError, match=f"{re.escape(str(path))} holds x twice: write each array"):
        reader(path)


NAMES = ("stored.npz", "packed.npz", "columns.npz", "images-idx3.gz", "images-idx3")


@pytest.mark.parametrize("name", NAMES)
def test_streamed_frames_are_those_that_are_held(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    write(path)
    held = read(path, INPUT)
    monkeypatch.setattr(sequential, "MOST_HELD", 0)
    stream = open_stream(path, INPUT)
    assert isinstance(stream.source, sequential.Sequential) == (name != "columns.npz")
    parts = list(stream.batches(7))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate([p.arrays[0] for p in parts]), held.arrays[0])
    assert held.labels is not None and stream.known_labels is not None
    np.testing.assert_array_equal(stream.known_labels, held.labels)
    (some,) = stream.batches(9, [1, 2, 3, 20, 48])
    np.testing.assert_array_equal(some.arrays[0], held.arrays[0][[1, 2, 3, 20, 48]])
    assert some.labels is not None and some.labels.tolist() == [1, 2, 3, 20, 48]
    assert stream.at(49).labels == [49] and len(stream.spread(5)) == 5
    given = DataSet(path, labels=np.arange(50)[::-1])
    assert open_stream(given, INPUT).at(0).labels == [49]


@pytest.mark.parametrize("name", NAMES[:2] + NAMES[3:])
def test_cut_files_are_a_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    write(path)
    monkeypatch.setattr(sequential, "MOST_HELD", 0)
    whole = path.read_bytes()
    for cut in (whole[: len(whole) // 2], whole[:-9], whole[:300] + whole[320:]):
        path.write_bytes(cut)
        with pytest.raises(DataError, match=str(path)):
            list(open_stream(path, INPUT).batches(7))


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_an_error_that_is_held_holds_no_open_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequential, "MOST_HELD", 0)
    path = tmp_path / f"t.{kind}"
    if kind == "npz":
        np.savez(path, x=VALUES)
    elif kind == "csv":
        path.write_text('a,b,c\n1,2,"3\n4,5,6"\n7,8,9\n')
    else:
        arrow = pytest.importorskip("pyarrow")
        lists = [[float(number)] * 7 for number in range(9)]
        pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"x": lists}), path)
    with pytest.raises(DataError) as error:
        list(open_stream(path, (("x", (3,)),)).batches(2))
    assert not _open_files(path), error


def _open_files(path: Path) -> list[Any]:
    files = [held for held in gc.get_objects() if isinstance(held, io.FileIO) and not held.closed]
    return [file for file in files if os.path.samestat(os.fstat(file.fileno()), path.stat())]


def test_streaming_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, size = tmp_path / "d.npz", 1 << 24
    np.savez_compressed(path, x=np.zeros((size >> 12, 1 << 12), np.uint8), other=np.zeros(1 << 20))
    monkeypatch.setattr(sequential, "MOST_HELD", 1 << 20)
    tracemalloc.start()
    try:
        stream = open_stream(path, (("x", (1 << 12,)),))
        assert sum(len(batch) for batch in stream.batches(64)) == size >> 12
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_one_batch_of_cifar_is_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {f"data_batch_{n}": cifar_batch(labels=[n] * 4) for n in (2, 1, 3)}
    path = archive(tmp_path / "c.tar.gz", **held)
    before = read(path, COLOURED)
    monkeypatch.setattr(cifar, "MOST_HELD", 0)
    found = open_stream(path, COLOURED)
    assert before.labels is not None and before.labels.tolist() == [1] * 4 + [2] * 4 + [3] * 4
    parts = list(found.batches(5))
    np.testing.assert_array_equal(np.concatenate([p.arrays[0] for p in parts]), before.arrays[0])
    np.testing.assert_array_equal(np.concatenate([p.labels for p in parts]), before.labels)
    assert isinstance(found.source, cifar.CifarBatches)
    assert len(found.source._held) == 1


@pytest.mark.parametrize("kind", ["npy", "npz", "streamed.npz", "h5", "parquet", "csv"])
@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e300])
def test_numbers_that_are_not_finite_are_named(
    kind: str, bad: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, path = RNG.standard_normal((9, 3)), tmp_path / f"t.{kind}"
    table[6, 1] = bad
    match kind:
        case "npy":
            np.save(path, table)
        case "h5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(path, "w") as file:
                file["x"] = table
        case "parquet":
            arrow = pytest.importorskip("pyarrow")
            columns = {str(n): table[:, n] for n in range(3)}
            parquet = pytest.importorskip("pyarrow.parquet")
            parquet.write_table(arrow.table(columns), path, row_group_size=4)
        case "csv":
            np.savetxt(path, table, delimiter=",")
        case _:
            np.savez(path, x=table)
    if kind.startswith("streamed"):
        monkeypatch.setattr(sequential, "MOST_HELD", 0)
    inputs = (("x", (3,)),)
    with pytest.raises(DataError) as error:
        read(path, inputs)
    text = str(error.value)
    assert "row 7" in text and "column 1" in text and str(path) in text and text.count("\n") == 0
    found = read(DataSet(path, skip_bad=True), inputs)
    assert (len(found), found.skipped) == (8, ("row 7",))


def test_the_place_in_a_frame_is_named(tmp_path: Path) -> None:
    images = RNG.standard_normal((5, 3, 4)).astype(np.float32)
    images[2, 1, 3] = np.inf
    np.savez(tmp_path / "d.npz", x=images, z=np.zeros((5, 2)))
    for inputs, more in ((INPUT, ""), ((*INPUT, ("z", (2,))), " of x")):
        with pytest.raises(DataError) as error:
            read(tmp_path / "d.npz", inputs)
        wanted = f"row 3 of {tmp_path / 'd.npz'} has inf in place [1, 3]{more}"
        assert str(error.value) == f"error: {wanted}"


STRAY = (
    'a,b,kind\n1,"2,x\n3,4,y\n5,6,x\n',
    'a,b,kind\n1,2,"x\n3,4,y\n5,6,x\n',
    'a,b,kind\n1,2,"x\n3,4,y"\n5,6,x\n',
    'a,b,kind\n1,2,"x\n3,4,"y\n5,6,x\n',
    'a,b,kind\n1,2,"x\n' + "3,4,y\n" * 40_000,
)


@pytest.mark.parametrize("text", STRAY)
@pytest.mark.parametrize("inputs", [(("x", (2,)),), (("a", (1,)), ("b", (1,)))])
@pytest.mark.parametrize("skip", [False, True])
def test_stray_quotes_swallow_no_rows(text: str, inputs: Any, skip: bool, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    label = "kind" if len(inputs) == 1 else None
    with pytest.raises(DataError) as error:
        read(DataSet(path, label_column=label, skip_bad=skip), inputs)
    assert f"{path}, line 2: a cell that begins with a quote goes on to " in str(error.value)
    assert str(error.value).count("\n") == 0


def test_texts_of_several_lines_are_read_past(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,note\n1,2,"one,\ntwo"\n3,4,""\n')
    found = read(path, (("a", (1,)), ("b", (1,))))
    assert found.arrays[1][:, 0].tolist() == [2, 4]


def test_calibration_takes_a_bounded_number_of_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small frames are; they are evenly spread, and those that are asked for are read."""
    path, rows = tmp_path / "d.npz", np.arange(1000, dtype=np.float32)[:, None]
    np.savez(path, x=rows)
    monkeypatch.setattr(sequential, "MOST_HELD", 0)
    monkeypatch.setattr(reading, "MOST_FRAMES", 100)
    found = read(path, (("x", (1,)),)).arrays[0]
    assert len(found) == 100 and found[0] == 0 and found[-1] == 999
    assert len(read(DataSet(path, frames=300), (("x", (1,)),))) == 300
    batches = (rows[begin : begin + 40] for begin in range(0, 1000, 40))
    assert len(read(batches, (("x", (1,)),))) == 120


def test_names_do_not_make_an_archive_an_array(tmp_path: Path) -> None:
    path = tmp_path / "data.npy"
    held = io.BytesIO()
    np.savez(held, x=np.zeros((3, 4), np.float32))
    path.write_bytes(held.getvalue())
    with pytest.raises(DataError, match=r"not an \.npz or \.npy file"):
        arrays_in(path)


@pytest.mark.parametrize("rows", [-1, 2**62, 7, "(True"])
def test_shapes_that_no_file_has(rows: Any, tmp_path: Path, recwarn: Any) -> None:
    path = tmp_path / "data.npy"
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 4), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
    with pytest.raises(DataError, match=r"not an \.npz or \.npy file"):
        arrays_in(path)
    assert not recwarn.list
