"""Arrays in files: a program's own, the frames of a user, and what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from qcompiler.backends.loihi.netlist.spike_io import NetworkError

ARRAYS = ("arrays.npz", "netlist.npz")


def read_arrays(folder: Path) -> dict[str, Any]:
    """The arrays of the .npz files in a folder, by name."""
    found: dict[str, Any] = {}
    for name in ARRAYS:
        with np.load(folder / name, allow_pickle=False) as arrays:
            found.update(arrays)
    return found


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an .npz file; unlike `numpy.savez`, whatever the arrays are called."""
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                write: Any = np.lib.format.write_array
                write(file, np.asarray(array), allow_pickle=False)


def read_inputs(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Frames by input from a file; one input may be called images, x, inputs or come first.

    Raises NetworkError for a file without them, and what numpy raises for other files.
    """
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        if not found.ndim:
            raise NetworkError(f"{path} holds a single number")
        return {names[0]: found}
    with found:
        if set(names) <= set(found.files):
            return {name: found[name] for name in names}
        usual = [name for name in ("images", "x", "inputs", *found.files) if name in found.files]
        if len(names) > 1 or not usual:
            raise NetworkError(f"{path} holds no arrays called {', '.join(names)}")
        return {names[0]: found[usual[0]]}
