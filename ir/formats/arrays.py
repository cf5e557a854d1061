"""Arrays as a file whose bytes follow from the arrays alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np


def write_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """Write an .npz file as `numpy.load` reads it; without objects, whatever the names are.

    `numpy.savez` leaves fields of the container to the version of Python. Here every field is the
    same on every machine. Compressed bytes may still differ between versions of zlib.
    """
    method = ZIP_DEFLATED if compressed else ZIP_STORED
    with ZipFile(path, "w", method) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            write: Any = np.lib.format.write_array
            write(content, np.asarray(array), allow_pickle=False)
            entry = ZipInfo(f"{name}.npy")  # of 1980, the oldest date that there is
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content.getbuffer(), method)
