"""Reader of CIFAR-10 and CIFAR-100: batches in Python's and in the binary format, and archives."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from qcompiler.data.frames.compressed import content, first_bytes, most_bytes
from qcompiler.data.frames.held import Array, Data
from qcompiler.data.frames.opening import open_data, told
from qcompiler.data.frames.safe_pickle import plain_dict
from qcompiler.data.frames.sequential import MOST_HELD
from qcompiler.data.frames.source import Reader, Source, Wanted
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


class CifarBatches(Source):
    """The images of several batches: all held if they are few, else one at a time."""

    takes_labels = True

    def __init__(self, path: Path, wanted: Wanted) -> None:
        super().__init__()
        wanted.only(path)
        self._path, self._held = path, dict[str, Array]()
        found = dict[str, Array]()
        self._names = _of_split(_names(path), wanted.options.split, path)
        size = 0
        for name, images, labels in _batches(path, self._names):
            found[name], self._held[name] = labels, images
            size += images.nbytes
            if size > MOST_HELD:
                self._held.clear()
        self.labels = np.concatenate([found[name] for name in self._names])
        self._starts = np.cumsum([0, *(len(found[name]) for name in self._names)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batches(self, size: int, places: Sequence[int] | None = None) -> Iterator[Data]:
        chosen = range(len(self)) if places is None else places
        for begin in range(0, len(chosen), size):
            part = np.asarray(chosen[begin : begin + size], np.int64)
            images = np.concatenate(list(self._images(part)))
            labels = None if self.labels is None else self.labels[part]
            yield Data((images,), labels, places=part)

    def _images(self, places: Array) -> Iterator[Array]:
        """The images at some places, batch by batch."""
        for name, begin, end in zip(self._names, self._starts, self._starts[1:], strict=False):
            inside = places[(places >= begin) & (places < end)] - begin
            if len(inside):
                yield self._batch(name)[inside]

    def _batch(self, name: str) -> Array:
        if name not in self._held:
            self._held.clear()
            self._held = {name: images for name, images, _ in _batches(self._path, [name])}
        return self._held[name]


def _names(path: Path) -> list[str]:
    """The names of the batches of a path, in order."""
    if path.is_dir():
        return sorted(found.name for found in path.iterdir() if _is_batch(found))
    return [path.name] if _is_batch(path) else sorted({name for name, _ in _members(path)})


def _batches(path: Path, names: Sequence[str]) -> Iterator[tuple[str, Array, Array]]:
    """Name, images and labels of each of these batches, one after the other, in any order."""
    if path.is_dir() or _is_batch(path):
        for name in names:
            file = path / name if path.is_dir() else path
            yield name, *_decoded(content(file, "a CIFAR batch"), file)
        return
    left = {*names}
    with closing(_members(path)) as members:
        for name, read in members:
            if name in left:
                left.remove(name)
                yield name, *_decoded(read(), path / name)
            if not left:
                return


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


def _members(path: Path) -> Generator[tuple[str, Callable[[], bytes]]]:
    """The batches in an archive, in its order, and what reads each; nothing goes to files."""
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
                assert opened is not None  # as it is a file
                yield name, opened.read


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
    CifarBatches,
    ("labels", "split"),
)
