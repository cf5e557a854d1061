"""Reader of .npz and .npy files."""

from __future__ import annotations

from pathlib import Path

from qcompiler.data.frames.compressed import first_bytes
from qcompiler.data.frames.labels import labels_among
from qcompiler.data.frames.numpy_files import arrays_in
from qcompiler.data.frames.source import InMemory, Reader, Source, Wanted

from .named import choose, of_split


def _claims(path: Path) -> bool:
    return path.suffix.lower() in (".npz", ".npy") or first_bytes(path, 4) == b"PK\3\4"


def _open(path: Path, wanted: Wanted) -> Source:
    named = of_split(arrays_in(path), wanted.options.split, str(path))
    arrays = choose(named, wanted.inputs, str(path))
    return InMemory(arrays, wanted.names, labels_among(named, wanted.names))


NUMPY = Reader("numpy", ".npz with arrays by name, or .npy", _claims, _open, ("labels", "split"))
