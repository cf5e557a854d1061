"""Opening files that others may have prepared: only regular ones, and none beyond a size."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

_ANY_SIZE = 1 << 62
_LONGEST_NAME = 200  # bytes; file systems take 255
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would block
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def open_regular(path: str | Path, limit: int = _ANY_SIZE) -> BinaryIO:
    """Open a regular file of at most ``limit`` bytes for reading.

    Raises OSError for anything else: a folder, a pipe or a device, which may never end.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if found.st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; OSError for anything else."""
    with open_regular(path, limit) as file:
        return file.read(limit)


def read_text(path: str | Path, limit: int) -> str:
    """The same as UTF-8 text; UnicodeDecodeError if it is none."""
    return read_regular(path, limit).decode("utf-8")


def short_name(name: str) -> str:
    """A file's name, or a digest of one so long that other names could not be made of it."""
    given = os.fsencode(name)
    return name if len(given) <= _LONGEST_NAME else hashlib.sha256(given).hexdigest()


def resolved(path: Path) -> Path:
    """The path without links; OSError for a loop of links, which newer Pythons leave as it is."""
    place = path.resolve()
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place
