"""Reader of CIFAR-10 and CIFAR-100: batches in Python's and in the binary format, and archives."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qcompiler.data.frames.compressed import content, first_bytes, most_bytes
from qcompiler.data.frames.held import Array
from qcompiler.data.frames.opening import open_data, told
from qcompiler.data.frames.safe_pickle import plain_dict
from qcompiler.data.frames.source import InMemory, Reader, Source, Wanted
from qcompiler.ir import DataError

_BATCH = re.compile(r"(data_batch_\d+|test_batch|train|test)(\.bin)?")
_ARCHIVES = (".tar.gz", ".tgz", ".tar")
_PIXELS = 3 * 32 * 32
_LABELS = ("fine_labels", "labels")
_WHAT = "an archive of CIFAR"
_MOST_MEMBERS = 1000


def _claims(path: Path) -> bool:
    if path.is_dir():
        return any(_is_batch(found) for found in path.iterdir())
    return path.name.lower().endswith(_ARCHIVES) or _is_batch(path)


def _is_batch(path: Path) -> bool:
    if not path.is_file() or not _BATCH.fullmatch(path.name):
        return False
    return path.suffix == ".bin" or first_bytes(path, 1) == b"\x80"


def _open(path: Path, wanted: Wanted) -> Source:
    name = wanted.only(path)
    images, labels = zip(*_batches(path, wanted.options.split), strict=True)
    return InMemory((np.concatenate(images),), (name,), np.concatenate(labels))


def _batches(path: Path, split: str | None) -> Iterator[tuple[Array, Array]]:
    """The batches of a path, those of one split if it has several."""
    if path.is_dir():
        files = sorted(found for found in path.iterdir() if _is_batch(found))
        for name in _of_split([file.name for file in files], split, path):
            yield _decoded(content(path / name, "a CIFAR batch"), path / name)
    elif _is_batch(path):
        yield _decoded(content(path, "a CIFAR batch"), path)
    else:
        held = _members(path)
        for name in _of_split(sorted(held), split, path):
            yield _decoded(held[name], path / name)


def _of_split(names: list[str], split: str | None, path: Path) -> list[str]:
    """The names of the batches of a split; of all if there is only one."""
    splits = {name: "test" if name.startswith("test") else "train" for name in names}
    if not names:
        raise DataError(f"{path} holds no batches of CIFAR, such as test_batch")
    known = sorted({*splits.values()})
    if split is None and len(known) == 1:
        split = known[0]
    if split not in known:
        raise DataError(f"{path} holds {' and '.join(known)}: choose with --split {known[-1]}")
    return [name for name in names if splits[name] == split]


def _members(path: Path) -> dict[str, bytes]:
    """The batches in an archive, of which nothing is unpacked to files."""
    found: dict[str, bytes] = {}
    left = most_bytes()
    with (
        open_data(path) as file,
        told(path, _WHAT),
        tarfile.open(fileobj=file, mode="r|*") as archive,
    ):
        for number, member in enumerate(archive):
            left -= member.size
            if left < 0 or number > _MOST_MEMBERS:
                raise DataError(f"{path} holds too much for {_WHAT}")
            name = member.name.rpartition("/")[2]
            if member.isfile() and _BATCH.fullmatch(name):
                opened = archive.extractfile(member)
                found[name] = opened.read() if opened else b""
    return found


def _decoded(held: bytes, path: Path) -> tuple[Array, Array]:
    """Images, ``frames x 3 x 32 x 32``, and labels of a batch; CIFAR-100 has fine labels."""
    if path.suffix == ".bin":
        return _binary(held, path)
    with told(path, "a CIFAR batch"):
        try:
            found = plain_dict(held)
        except DataError as error:
            reason = str(error).removeprefix("error: ")
            raise DataError(f"{path} is not a CIFAR batch: {reason}") from error
    images = found.get("data")
    labels = next((found[key] for key in _LABELS if key in found), None)
    if not isinstance(images, np.ndarray) or images.shape[1:] != (_PIXELS,) or labels is None:
        raise DataError(f"{path} is not a CIFAR batch: it holds no images of 32 x 32, or no labels")
    with told(path, "a CIFAR batch"):
        numbers = np.array(labels, np.int64)
    if numbers.shape != images.shape[:1]:
        raise DataError(f"there are {numbers.size} labels for {len(images)} images in {path}")
    return images.reshape(-1, 3, 32, 32), numbers


def _binary(held: bytes, path: Path) -> tuple[Array, Array]:
    for leading in (1, 2):  # CIFAR-100 has a coarse label in front
        if held and len(held) % (leading + _PIXELS) == 0:
            rows = np.frombuffer(held, np.uint8).reshape(-1, leading + _PIXELS)
            return rows[:, leading:].reshape(-1, 3, 32, 32), rows[:, leading - 1].astype(np.int64)
    raise DataError(f"{path} is cut, or is not a CIFAR batch: images take 3073 or 3074 bytes each")


CIFAR = Reader(
    "cifar",
    "CIFAR-10 or CIFAR-100: an archive, its folder or one batch, in Python or binary format",
    _claims,
    _open,
    ("labels", "split"),
)
