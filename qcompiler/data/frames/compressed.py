"""Files that may be compressed, read within a bound."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import BinaryIO, cast

from qcompiler.ir import DataError
from qcompiler.ir.memory import machine_memory

from .opening import open_data, told

_PART = 1 << 24  # bytes
_SHARE = 4  # of the machine's memory that one file may take


def most_bytes() -> int:
    """Bytes that one file may take in memory, unpacked."""
    return int(min(machine_memory() // _SHARE, 1 << 40))


def unpacked(path: Path, file: BinaryIO) -> BinaryIO:
    """An open file, unpacked as it is read if its name ends in .gz."""
    packed = path.suffix.lower() == ".gz"
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file


def content(path: Path, what: str) -> bytes:
    """What a file holds, unpacked if its name ends in .gz; ``what`` it should be.

    DataError for a file that does not unpack, and for one beyond a quarter of the memory.
    """
    most, parts, total = most_bytes(), list[bytes](), 0
    with open_data(path) as file, told(path, what):
        whole = unpacked(path, file)
        while part := whole.read(_PART):  # a larger one takes its whole memory at once
            parts.append(part)
            total += len(part)
            if total > most:
                raise DataError(f"{path} holds more than {most:,} bytes: give it in parts")
    return b"".join(parts)


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file, unpacked if its name ends in .gz; none if it cannot be read."""
    try:
        with open_data(path) as file:
            return unpacked(path, file).read(count)
    except (DataError, OSError, EOFError):
        return b""
