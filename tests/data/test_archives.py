"""MNIST's and CIFAR's files: as they are, damaged, and made to do harm."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qcompiler.data import DataSet, read
from qcompiler.data.frames import compressed
from qcompiler.data.frames.safe_pickle import plain_dict
from qcompiler.ir import DataError

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
INPUT = (("x", (1, 28, 28)),)
COLOURED = (("x", (3, 32, 32)),)
PIXELS = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)


def refused(path: Path | DataSet, inputs: Any = COLOURED) -> str:
    with pytest.raises(DataError) as error:
        read(path, inputs)
    assert str(error.value).count("\n") == 0
    return str(error.value).removeprefix("error: ")


def idx(array: Any) -> bytes:
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + bytes(array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"])
def test_small_files_take_little_memory_whatever_the_bound(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = idx(DIGITS)
    (tmp_path / name).write_bytes(gzip.compress(found) if name.endswith(".gz") else found)
    monkeypatch.setattr(compressed, "most_bytes", lambda: 1 << 50)
    assert read(tmp_path / name, INPUT).arrays[0].shape == (5, 1, 28, 28)


@pytest.mark.parametrize("packed", [False, True])
def test_mnist(tmp_path: Path, packed: bool) -> None:
    end, pack = (".gz", gzip.compress) if packed else ("", bytes)
    images = tmp_path / f"t10k-images-idx3-ubyte{end}"
    images.write_bytes(pack(idx(DIGITS)))
    assert read(images, INPUT).labels is None
    labels = tmp_path / f"t10k-labels-idx1-ubyte{end}"
    labels.write_bytes(pack(idx(np.arange(5))))
    found = read(images, INPUT)
    np.testing.assert_array_equal(found.arrays[0][:, 0], DIGITS)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 3, 4]
    assert "holds labels: give the file of the images" in refused(labels, INPUT)
    labels.write_bytes(pack(idx(np.arange(4))))
    assert refused(images, INPUT) == f"there are 4 labels in {labels} for 5 images"
    images.write_bytes(pack(idx(DIGITS)[:-7]))
    assert refused(images, INPUT).startswith(f"{images} is cut")
    if packed:
        images.write_bytes(images.read_bytes()[:-20])
        assert refused(images, INPUT) == f"{images} is not an idx file, or is damaged"


def batch(protocol: int = 2, **change: Any) -> bytes:
    return pickle.dumps({b"data": PIXELS, b"labels": [3, 1, 2, 0], **change}, protocol)


def archive(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as written:
        for name, held in members.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(held)
            written.addfile(entry, io.BytesIO(held))
    return path


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_cifar_in_python_format(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(batch(protocol))
    found = read(path, COLOURED)
    np.testing.assert_array_equal(found.arrays[0], PIXELS.reshape(4, 3, 32, 32))
    assert found.labels is not None
    assert found.labels.tolist() == [3, 1, 2, 0]


def test_cifar_in_binary_format(tmp_path: Path) -> None:
    labels = np.array([[9, 3], [9, 1], [9, 2], [9, 0]], np.uint8)
    for leading in (1, 2):
        rows = np.concatenate([labels[:, 2 - leading :], PIXELS], axis=1)
        (tmp_path / "test.bin").write_bytes(rows.tobytes())
        found = read(tmp_path / "test.bin", COLOURED)
        np.testing.assert_array_equal(found.arrays[0], PIXELS.reshape(4, 3, 32, 32))
        assert found.labels is not None
        assert found.labels.tolist() == [3, 1, 2, 0]
    (tmp_path / "test.bin").write_bytes(rows.tobytes()[:-1])
    assert "is cut, or is not a CIFAR batch" in refused(tmp_path / "test.bin")


def test_archives_and_folders_have_splits(tmp_path: Path) -> None:
    held = {
        f"data_batch_{n}": pickle.dumps({b"data": PIXELS, b"labels": [n] * 4}, 2) for n in (1, 2)
    }
    path = archive(tmp_path / "c.tar.gz", test_batch=batch(), readme=b"text", **held)
    message = f"{path} holds test and train: choose with --split train"
    assert refused(path) == message
    assert refused(DataSet(path, split="val")) == message
    found = read(DataSet(path, split="train"), COLOURED)
    assert found.labels is not None
    assert found.labels.tolist() == [1] * 4 + [2] * 4
    assert len(read(DataSet(path, split="test"), COLOURED)) == 4
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train").write_bytes(batch(fine_labels=[7, 7, 7, 7]))
    labels = read(folder, COLOURED).labels
    assert labels is not None
    assert labels.tolist() == [7, 7, 7, 7]
    path.write_bytes(path.read_bytes()[:-100])
    assert "is not an archive of CIFAR, or is damaged" in refused(DataSet(path, split="test"))
    assert "holds no batches of CIFAR" in refused(archive(tmp_path / "d.tgz", other=b""))


class _Harm:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harmed",)


def test_pickles_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test_batch"
    path.write_bytes(batch(extra=_Harm()))
    assert "would run code" in refused(path)
    path.write_bytes(batch(data=np.array([_Harm()], dtype=object)))
    assert str(path) in refused(path)
    assert not (tmp_path / "harmed").exists()
    path.write_bytes(batch()[:-100])
    assert refused(path) == f"{path} is not a CIFAR batch, or is damaged"
    path.write_bytes(pickle.dumps({"data": PIXELS, "labels": [1]}, 2))
    assert refused(path) == f"there are 1 labels for 4 images in {path}"


def test_pickles_take_no_more_memory_than_they_have(tmp_path: Path) -> None:
    text = b"\x80\x02c_codecs\nencode\nq\x00(X" + struct.pack("<I", 1000) + b"a" * 1000 + b"tq\x01"
    calls = b"".join(b"h\x00h\x01R" for _ in range(10))
    with pytest.raises(DataError, match="again and again"):
        plain_dict(text + calls + b".")
    nested = b"\x80\x02)" + b"\x85" * 30_000 + b"."
    with pytest.raises(DataError, match="tuples"):
        plain_dict(nested)
