"""Arrays by name in .npz and .npy files."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np

from qcompiler.ir import DataError
from qcompiler.size_limits import machine_memory

from .held import Array
from .opening import open_data


def arrays_in(path: Path) -> dict[str, Array]:
    """The arrays of a file by name; an .npy is mapped to memory and named images.

    Raises DataError for anything else, and for arrays of objects, which would run code.
    """
    if path.is_dir():
        raise DataError(f"{path} is a directory, not an .npz or .npy file")
    file = open_data(path)
    try:
        with file:
            if path.suffix.lower() == ".npy":
                return {"images": np.load(path, mmap_mode="r", allow_pickle=False)}
            with np.load(file, allow_pickle=False) as archive:
                check_memory(archive.zip, path)
                return {name: archive[name] for name in archive.files}
    except DataError:
        raise
    except Exception as error:  # a damaged archive can make zipfile and numpy raise almost anything
        raise DataError(
            f"{path} is not an .npz or .npy file of numbers (object arrays are not read)"
        ) from error


def check_memory(archive: ZipFile, path: Path) -> None:
    """DataError if a small file holds more than fits into memory."""
    held = sum(entry.file_size for entry in archive.infolist())
    if held > machine_memory():
        raise DataError(f"{path} holds {held:,} bytes of arrays, more than this machine's memory")
