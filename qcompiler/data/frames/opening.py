"""Files opened for reading, and libraries of extras: one sentence for each that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from qcompiler.ir import DataError
from qcompiler.ir.files import open_regular


def open_data(path: Path) -> BinaryIO:
    """Open a regular file; DataError names it if that fails."""
    try:
        return open_regular(path)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a directory, not a data file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} cannot be read: {reason}") from error


def library(module: str, package: str, purpose: str) -> Any:
    """A module of the extra ``data``; DataError tells how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs {package}: run pip install '.[data]' in the checkout, "
            f"or pip install {package}"
        ) from error


@contextmanager
def told(path: Path | str, what: str) -> Iterator[None]:
    """Turn whatever a library raises for a damaged file into a DataError with its name."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # libraries raise almost anything for damaged files
        raise DataError(f"{path} is not {what}, or is damaged") from error
