"""A folder that takes the place of another at once, whoever else writes it, or dies on the way.

A writer prepares the new folder in a scratch folder beside the old one, and holds a lock on it.
What a dead writer leaves has no lock: the next one sweeps it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qcompiler.ir.files import short_name

if sys.platform != "win32":
    import fcntl

NEW, OLD = "new", "old"  # in a scratch folder
_TRIES = 1000  # another writer was faster
_LOST = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST)
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, and the flag of both systems


@contextmanager
def scratch_beside(directory: Path) -> Iterator[Path]:
    """A scratch folder on the same file system; it is removed at the end. Raises OSError."""
    sweep(directory)
    lock = None
    while lock is None:  # else a sweeper took it for a dead writer's
        scratch = Path(tempfile.mkdtemp(prefix=_prefix(directory), dir=directory.parent))
        lock = _lock(scratch, must=False)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


def sweep(directory: Path) -> None:
    """Remove what dead writers left beside a folder; put back the folder if one took it away."""
    for scratch in _scratches(directory):
        if (lock := _lock(scratch, must=True)) is not None:
            _put_back(scratch, directory)
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(lock)


def recover(directory: Path) -> None:
    """Put back a folder that a writer took away before it died."""
    for scratch in _scratches(directory):
        if (lock := _lock(scratch, must=True)) is not None:
            _put_back(scratch, directory)
            os.close(lock)


def is_being_written(directory: Path) -> bool:
    """Whether a writer works on a folder, which may then be absent for a moment."""
    return bool(_scratches(directory))


def put_in_place(scratch: Path, directory: Path) -> None:
    """Let the new folder in a scratch folder take the place of ``directory``. Raises OSError."""
    new = scratch / NEW
    for attempt in range(_TRIES):
        try:
            if not directory.exists():
                new.rename(directory)
            elif not exchange(new, directory):
                _replace(scratch, directory)
            return
        except OSError as error:
            if error.errno not in _LOST or attempt == _TRIES - 1:
                raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot. Raises OSError."""
    if os.name != "posix":
        return False
    system = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if hasattr(system, "renameat2"):
        failed = system.renameat2(_HERE, paths[0], _HERE, paths[1], _EXCHANGE)
    elif hasattr(system, "renamex_np"):
        failed = system.renamex_np(*paths, _EXCHANGE)
    else:
        return False
    if failed and ctypes.get_errno() not in _CANNOT:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    return not failed


def _replace(scratch: Path, directory: Path) -> None:
    """In two steps: between them, the old folder is in the scratch folder alone."""
    shutil.rmtree(scratch / OLD, ignore_errors=True)
    directory.rename(scratch / OLD)
    try:
        (scratch / NEW).rename(directory)
    except OSError:
        _put_back(scratch, directory)
        raise


def _put_back(scratch: Path, directory: Path) -> None:
    if (scratch / OLD).is_dir() and not directory.exists():
        with suppress(OSError):  # another writer was faster
            (scratch / OLD).rename(directory)


def _prefix(directory: Path) -> str:
    return f".{short_name(directory.name)}.qcompile-"


def _scratches(directory: Path) -> list[Path]:
    try:
        names = os.listdir(directory.parent)
    except OSError:
        return []
    return [directory.parent / n for n in sorted(names) if n.startswith(_prefix(directory))]


def _lock(scratch: Path, must: bool) -> int | None:
    """A descriptor that holds the lock; None if another has it, or the folder is gone.

    Where the file system knows no locks, a descriptor without one, unless it must have it.
    """
    try:
        held = os.open(scratch, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError:  # folders cannot be opened here
        return None if must else os.open(os.devnull, os.O_RDONLY)
    try:
        if sys.platform != "win32":
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), os.stat(scratch)):
            return held
    except OSError as error:
        if error.errno in (*_CANNOT, errno.ENOLCK) and not must:
            return held
    os.close(held)
    return None
