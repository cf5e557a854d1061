"""Reader of .npz and .npy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcompiler.backends.program.given_arrays import labels_among
from qcompiler.data.frames.compressed import first_bytes
from qcompiler.data.frames.numpy_files import NPZ, arrays_in, packed_in
from qcompiler.data.frames.packed import Packed
from qcompiler.data.frames.sequential import source_of
from qcompiler.data.frames.source import InMemory, Reader, Source, Wanted

from .named import choose, of_split, ungrouped


def _claims(path: Path) -> bool:
    return path.suffix.lower() in (".npz", ".npy") or first_bytes(path, 4) == b"PK\3\4"


def _open(path: Path, wanted: Wanted) -> Source:
    named: dict[str, Any] = arrays_in(path) if path.suffix.lower() == ".npy" else packed_in(path)
    named = ungrouped(of_split(named, wanted.options.split, str(path)), wanted.names)
    arrays = choose(named, wanted.inputs, str(path))
    labels = labels_among(named, wanted.names)
    skip = wanted.options.skip_bad
    if isinstance(arrays[0], Packed):
        told = None if labels is None else labels.whole()
        return source_of(arrays, wanted.names, told, path, NPZ, skip)
    return InMemory(arrays, wanted.names, labels, path, skip)


NUMPY = Reader("numpy", ".npz with arrays by name, or .npy", _claims, _open, ("labels", "split"))
