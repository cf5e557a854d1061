"""Arrays by name in .npz and .npy files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import ZipFile

import numpy as np

from qcompiler.ir import DataError
from qcompiler.ir.memory import machine_memory

from .held import Array
from .opening import open_data, told
from .packed import Packed

_FORMAT: Any = np.lib.format  # which has no types
NPZ = "an .npz or .npy file of numbers (object arrays are not read)"


def arrays_in(path: Path) -> dict[str, Array]:
    """The arrays of a file by name; an .npy is mapped to memory and named images.

    Raises DataError for anything else, and for arrays of objects, which would run code.
    """
    if path.is_dir():
        raise DataError(f"{path} is a directory, not an .npz or .npy file")
    with open_data(path) as file, told(path, NPZ):
        if path.suffix.lower() == ".npy":
            with np.errstate(over="raise"):  # of a shape beyond all bounds
                return {"images": _FORMAT.open_memmap(path, mode="r")}
        with np.load(file, allow_pickle=False) as archive:
            _check_distinct(path, archive.files)
            check_memory(path, sum(entry.file_size for entry in archive.zip.infolist()))
            return {name: archive[name] for name in archive.files}


def packed_in(path: Path) -> dict[str, Packed]:
    """The arrays of an .npz by name, none of which is read. DataError if it is damaged."""
    with open_data(path) as file, told(path, NPZ), ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        _check_distinct(path, (name.removesuffix(".npy") for name in names))
        return {name.removesuffix(".npy"): _packed(path, archive, name) for name in names}


def _check_distinct(path: Path, names: Iterable[str]) -> None:
    """DataError for two arrays of one name, of which reading would take the last."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path} holds {twice[0]} twice: write each array once, with np.savez")


def _packed(path: Path, archive: ZipFile, member: str) -> Packed:
    def opened(stack: ExitStack) -> BinaryIO:
        held = stack.enter_context(open_data(path))
        found = stack.enter_context(stack.enter_context(ZipFile(held)).open(member))
        _head(found)
        return cast(BinaryIO, found)

    def whole() -> Array:
        with open_data(path) as held, told(path, NPZ), ZipFile(held) as found:
            check_memory(path, found.getinfo(member).file_size)
            with found.open(member) as file:
                array: Array = _FORMAT.read_array(file, allow_pickle=False)
                return array

    with archive.open(member) as file:
        shape, by_columns, dtype = _head(file)
        found = Packed(shape, dtype, opened, whole, not by_columns or len(shape) < 2)
        length = archive.getinfo(member).file_size - file.tell()
    if length != found.nbytes and not dtype.hasobject:
        raise DataError(f"{path} is cut, or is too long: {member} has {length:,} bytes")
    return found


def _head(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and kind of the array in an open .npy file."""
    first = _FORMAT.read_magic(file) == (1, 0)
    read = _FORMAT.read_array_header_1_0 if first else _FORMAT.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    return shape, by_columns, dtype


def check_memory(path: Path, held: int) -> None:
    """DataError if a small file holds more than fits into memory."""
    if held > machine_memory():
        raise DataError(f"{path} holds {held:,} bytes of arrays, more than this machine's memory")
