"""A compiled program is read from its directory. Nothing in it is trusted, and no code is run."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numpy.lib.format import read_array

from qcompiler.ir import Graph, InvalidGraph, ProgramError, parse, size
from qcompiler.ir.files import open_regular, read_text
from qcompiler.ir.kernels import Array

from .atomic_folder import is_being_written, recover

FORMAT = 1
MANIFEST, TEXT, ARRAYS = "manifest.json", "network.qir", "arrays.npz"
MOST_CHARACTERS = 1 << 26  # of the manifest, or of the text
_MOST_NEURONS = 1 << 28
_TRIES = 100  # to read a program that others keep replacing
_PAUSE = 0.001  # seconds


def load(directory: Path) -> tuple[dict[str, Any], Graph]:
    """Read manifest and graph. Raises ProgramError if the directory is no valid program."""
    manifest, text, arrays = steady(directory, _read)
    try:
        graph = parse(text, arrays, str(directory / TEXT))
    except InvalidGraph as error:
        raise ProgramError(*error.diagnostics) from error
    if any(size(node.result.type) > _MOST_NEURONS for node in graph.nodes):
        raise ProgramError(
            f"{directory} contains a population of more than {_MOST_NEURONS} neurons"
        )
    return manifest, graph


_Read = TypeVar("_Read")


def steady(directory: Path, read: Callable[[Path], _Read]) -> _Read:
    """What a function reads in a directory, all of it in the same, though others replace it."""
    for _ in range(_TRIES):
        before = _identity(directory)
        try:
            found = read(directory)
        except (ProgramError, OSError):
            after = _identity(directory)
            if after == before and (after or not is_being_written(directory)):
                raise
            time.sleep(_PAUSE)
        else:
            if _identity(directory) == before:
                return found
    raise ProgramError(f"{directory} is replaced all the time: wait until it is written")


def _identity(directory: Path) -> tuple[int, ...] | None:
    with suppress(OSError, ValueError, RuntimeError):
        if not directory.exists():
            recover(directory.resolve())
        found = directory.stat()
        return found.st_dev, found.st_ino, found.st_mtime_ns
    return None


def _read(directory: Path) -> tuple[dict[str, Any], str, dict[str, Array]]:
    try:
        manifest = json.loads(read_text(directory / MANIFEST, MOST_CHARACTERS))
        text = read_text(directory / TEXT, 4 * MOST_CHARACTERS)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise ProgramError(f"{directory} is no compiled program: it has no {missing}") from error
    except NotADirectoryError as error:
        raise ProgramError(f"{directory} is a file: give the directory of a program") from error
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"{directory} is damaged ({error}): compile the model again") from error
    except OSError as error:
        raise ProgramError(f"cannot read the program {directory}: {error}") from error
    if not isinstance(manifest, dict) or repr(manifest.get("format")) != repr(FORMAT):
        raise ProgramError(f"{directory} is not in program format {FORMAT}: compile again")
    if len(text) > MOST_CHARACTERS:
        raise ProgramError(f"{directory / TEXT} has over {MOST_CHARACTERS:,} characters")
    arrays = _arrays(directory / ARRAYS)
    _check_whole(directory, manifest)
    return manifest, text, arrays


def _check_whole(directory: Path, manifest: Mapping[str, Any]) -> None:
    """ProgramError unless the manifest says how inputs are preprocessed, and all files are there.

    A program whose preprocessing is lost would run, and give other results.
    """
    files: Any = manifest.get("files")
    if not isinstance(manifest.get("preprocessing"), dict) or not _are_names(files):
        raise ProgramError(f"{directory} has a damaged {MANIFEST}: compile the model again")
    present = set(files_in(directory))
    if missing := [name for name in files if name not in present]:
        names = ", ".join(missing)
        raise ProgramError(f"{directory} is incomplete, it has no {names}: compile the model again")


def is_manifest(manifest: Any) -> bool:
    """Whether this is the manifest of a program, of any format."""
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        return False
    whole = isinstance(manifest.get("target"), str) and _are_names(manifest.get("files"))
    return whole and isinstance(manifest.get("preprocessing"), dict)


def _are_names(files: Any) -> bool:
    return isinstance(files, list) and all(isinstance(name, str) for name in files)


def _arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file, which take no more memory than it has bytes."""
    with (
        suppress(Exception),  # zipfile and numpy raise many kinds
        open_regular(path) as file,
        zipfile.ZipFile(file) as archive,
    ):
        entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        held = sum(entry.file_size for entry in entries)
        if stored and held <= os.fstat(file.fileno()).st_size:  # else entries overlap
            return {_name(entry): _array(archive, entry) for entry in entries}
    raise ProgramError(f"{path} is missing or damaged: compile the model again")


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy").removeprefix("#")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """One array; numpy's own reader of archives looks through all names for each."""
    with archive.open(entry) as file:
        read: Any = read_array  # which older versions of numpy give no types
        array: Array = read(file, allow_pickle=False)
        array.flags.writeable = False  # so that no constant needs a copy of its own
        return array


def files_in(directory: Path) -> Iterator[str]:
    """All files of a folder, links included, as paths in it."""
    for folder, folders, files in os.walk(directory):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*files, *links):
            yield Path(folder, name).relative_to(directory).as_posix()
