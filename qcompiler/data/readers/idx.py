"""Reader of MNIST's format: idx files, which may be packed by gzip."""

from __future__ import annotations

from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qcompiler.data.frames.compressed import content, first_bytes, unpacked
from qcompiler.data.frames.held import Array
from qcompiler.data.frames.opening import open_data
from qcompiler.data.frames.packed import Packed
from qcompiler.data.frames.sequential import source_of
from qcompiler.data.frames.source import Reader, Source, Wanted
from qcompiler.ir import DataError

_KINDS = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_WHAT = "an idx file"


def is_idx(path: Path) -> bool:
    """Whether a file begins as an idx file does, with at least two axes: labels have one."""
    head = first_bytes(path, 4) if path.is_file() else b""
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _KINDS and 0 < head[3] < 9


def packed_idx(path: Path) -> Packed:
    """The array of an idx file, not yet read. DataError if the file does not begin as one."""
    head = first_bytes(path, 4 + 4 * 255)
    axes = head[3] if len(head) > 3 else 0
    start = 4 + 4 * axes
    if not axes or head[:2] != b"\0\0" or head[2] not in _KINDS or len(head) < start:
        raise DataError(f"{path} is not {_WHAT}")
    kind = np.dtype(_KINDS[head[2]])
    shape = tuple(np.frombuffer(head, ">u4", axes, 4).tolist())

    def opened(stack: ExitStack) -> BinaryIO:
        file = stack.enter_context(open_data(path))
        found = unpacked(path, file)
        found.seek(start)
        return found

    return Packed(shape, kind, opened, lambda: _whole(path, kind, shape, start))


def _whole(path: Path, kind: np.dtype[Any], shape: tuple[int, ...], start: int) -> Array:
    """The array of an idx file. DataError if its length is not what its head tells."""
    found = content(path, _WHAT)
    if prod(shape) * kind.itemsize != len(found) - start:
        raise DataError(f"{path} is cut, or is too long: it should hold an array of shape {shape}")
    array = np.frombuffer(found, kind, prod(shape), start).reshape(shape)
    return array.astype(kind.newbyteorder("="), copy=False)


def _open(path: Path, wanted: Wanted) -> Source:
    images = packed_idx(path)
    if images.ndim < 2:
        raise DataError(f"{path} holds labels: give the file of the images")
    names, skip = (wanted.only(path),), wanted.options.skip_bad
    found = source_of((images,), names, None, path, _WHAT, skip)
    beside = _labels_beside(path)
    if beside is not None and wanted.options.labels is None:
        labels = packed_idx(beside).whole().astype(np.int64)
        if labels.shape != images.shape[:1]:
            raise DataError(f"there are {labels.size} labels in {beside} for {len(images)} images")
        found.labels = labels
    return found


def _labels_beside(path: Path) -> Path | None:
    """The file of labels that belongs to a file of images, named as in MNIST."""
    for sep in ("-", "."):
        name = path.name.replace(f"images{sep}idx3", f"labels{sep}idx1")
        if name == path.name:
            continue
        for other in (name, name.removesuffix(".gz"), f"{name}.gz"):
            if (found := path.with_name(other)).is_file():
                return found
    return None


IDX = Reader("idx", "MNIST's idx file of images (.gz or not)", is_idx, _open, ("labels",))
