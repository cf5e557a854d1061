"""Reader of .h5 files: arrays by name, read piece by piece."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from qcompiler.backends.program.given_arrays import labels_among
from qcompiler.data.frames.compressed import most_bytes
from qcompiler.data.frames.opening import library, open_data, told
from qcompiler.data.frames.source import InMemory, Reader, Source, Wanted
from qcompiler.ir import DataError

from .named import choose, of_split, ungrouped

_MOST_OBJECTS = 10_000


def _claims(path: Path) -> bool:
    return path.suffix.lower() in (".h5", ".hdf5")


def _open(path: Path, wanted: Wanted) -> Source:
    h5py = library("h5py", "h5py", "reading .h5 files")
    open_data(path).close()
    with told(path, "an HDF5 file"):
        named = _data_sets(h5py.File(path, "r"), h5py, path)
        named = ungrouped(of_split(named, wanted.options.split, str(path)), wanted.names)
        arrays = choose(named, wanted.inputs, str(path))
        labels = labels_among(named, wanted.names)
        for used in (*arrays, *([] if labels is None else [labels])):
            _check(used, path)
        told_labels = None if labels is None else labels[:]
        return _HDF5(arrays, wanted.names, told_labels, path, wanted.options.skip_bad)


class _HDF5(InMemory):
    """Data sets that are read when they are indexed."""

    def read(self, places: Any) -> Any:
        with told(str(self.path), "an HDF5 file"):
            return super().read(places)


def _data_sets(file: Any, h5py: Any, path: Path) -> dict[str, Any]:
    """The data sets of a file by name, groups included; links to other files are not followed."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> str | None:
        if isinstance(item, h5py.Dataset):
            found[name] = item
        return name if len(found) > _MOST_OBJECTS else None

    if file.visititems(visit) is not None:
        raise DataError(f"{path} holds more than {_MOST_OBJECTS:,} data sets")
    return found


def _check(found: Any, path: Path) -> None:
    """DataError for a data set that lies in other files, or in pieces beyond the memory."""
    if found.is_virtual or found.external:
        raise DataError(f"{path} keeps {found.name} in another file, which is not read")
    if found.chunks and prod(found.chunks) * found.dtype.itemsize > most_bytes():
        raise DataError(f"{path} has chunks beyond this machine's memory in {found.name}")


HDF5 = Reader("hdf5", ".h5 with arrays by name", _claims, _open, ("labels", "split"))
