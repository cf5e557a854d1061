"""Reader of .npz and .npy files; also of files of no known kind, which are refused by name."""

from __future__ import annotations

from pathlib import Path

from qcompiler.data.frames.held import Array, Inputs
from qcompiler.data.frames.labels import LABELS, labels_among
from qcompiler.data.frames.numpy_files import arrays_in
from qcompiler.data.frames.source import InMemory, Reader, Source, Wanted
from qcompiler.ir import DataError

_IMAGES = ("images", "x", "inputs")


def _claims(path: Path) -> bool:
    return path.suffix.lower() in (".npz", ".npy")


def _open(path: Path, wanted: Wanted) -> Source:
    named = arrays_in(path)
    arrays = choose(named, wanted.inputs, str(path))
    return InMemory(arrays, wanted.names, labels_among(named, wanted.names))


def choose(named: dict[str, Array], inputs: Inputs, where: str) -> tuple[Array, ...]:
    """The array of each input: by its name, or the usual one. DataError if there is none."""
    if all(name in named for name, _ in inputs):
        return tuple(named[name] for name, _ in inputs)
    if len(inputs) > 1:
        names = ", ".join(name for name, _ in inputs)
        raise DataError(f"{where} needs one array per input: {names}")
    for key in (*_IMAGES, *(key for key in named if key not in LABELS)):
        if key in named:
            return (named[key],)
    raise DataError(f"{where} holds no images: name an array images, x or inputs")


NUMPY = Reader("numpy", ".npz with arrays by name, or .npy", _claims, _open, ("labels",))
