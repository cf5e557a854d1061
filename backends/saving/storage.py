"""A compiled program is written as a directory: manifest, graph as text, arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qcompiler.ir import Diagnostic, Graph, ProgramError, show
from qcompiler.ir.files import read_text, resolved
from qcompiler.ir.formats.arrays import write_arrays

from .atomic_folder import NEW, put_in_place, scratch_beside
from .loading import ARRAYS, FORMAT, MANIFEST, MOST_CHARACTERS, TEXT, files_in, is_manifest, steady

_CACHE = "__pycache__"  # Python's bytecode of emitted modules


def save(
    directory: Path,
    manifest: Mapping[str, Any],
    graph: Graph,
    emit: Callable[[Path], None] | None = None,
) -> None:
    """Write a program atomically; ``emit`` adds the files of the target.

    An existing directory is replaced only if it is empty or contains a program. Raises
    ProgramError if the directory cannot be written, or the manifest holds what is no JSON data.
    """
    place, text = check_place(directory), show(graph)
    if len(text) > MOST_CHARACTERS:
        raise ProgramError(f"the text of the network has over {MOST_CHARACTERS:,} characters")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(place) as scratch:
            staged = scratch / NEW
            staged.mkdir()
            if emit:
                emit(staged)
            _write(staged, manifest, graph, text)
            check_place(directory)  # which may be another by now
            put_in_place(scratch, place)
    except OSError as error:
        raise ProgramError(f"cannot write {directory}: {error.strerror or error}") from error


def check_place(directory: Path) -> Path:
    """The path to write, without links; ProgramError if no program can be written there."""
    try:
        place = resolved(directory)  # keeps a symbolic link
        if place == Path.cwd() or place in Path.cwd().parents:
            raise ProgramError(f"{directory} contains the current folder: choose another directory")
        if not steady(place, _replaceable):
            message = f"{directory} exists and is no compiled program: choose another directory"
            raise ProgramError(f"{message}, or remove it")
        above = next(path for path in place.parents if path.exists())
        if not above.is_dir():
            raise ProgramError(f"{directory} cannot be written: {above} is a file")
        if not os.access(above, os.W_OK | os.X_OK):
            raise ProgramError(f"{directory} cannot be written: {above} is not writable")
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null character
        raise ProgramError(f"{directory} cannot be written: {error}") from error
    return place


def _write(staged: Path, manifest: Mapping[str, Any], graph: Graph, text: str) -> None:
    head = {"format": FORMAT, "files": sorted(files_in(staged)), **manifest}
    (staged / MANIFEST).write_text(_as_json(head), encoding="utf-8")
    (staged / TEXT).write_text(text, encoding="utf-8")
    arrays = {f"#{constant.name}": constant.data for constant in graph.constants}
    write_arrays(staged / ARRAYS, arrays)


def _as_json(head: Mapping[str, Any]) -> str:
    try:
        return json.dumps(head, indent=2, sort_keys=True) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        help_ = "give it texts, numbers, booleans, lists, and dictionaries by text"
        message = f"the manifest cannot be written as JSON: {error}"
        raise ProgramError(Diagnostic(message, help=help_)) from error


def _replaceable(directory: Path) -> bool:
    """Whether a directory is absent, empty, or contains only the files of a compiled program."""
    if not directory.is_dir():
        return not os.path.lexists(directory)
    if not any(directory.iterdir()):
        return True
    try:
        manifest = json.loads(read_text(directory / MANIFEST, MOST_CHARACTERS))
    except (OSError, ValueError, RecursionError):
        return False
    if not is_manifest(manifest):
        return False
    known = {MANIFEST, TEXT, ARRAYS, *manifest["files"]}
    return all(name in known or _is_bytecode(name) for name in files_in(directory))


def _is_bytecode(name: str) -> bool:
    return Path(name).parent.name == _CACHE and name.endswith(".pyc")
