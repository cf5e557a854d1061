"""A compiled program as a directory: manifest, graph as text, arrays. Loading executes no code."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import Graph, InvalidGraph, ProgramError, parse, show, size
from qcompiler.ir.kernels import Array

FORMAT = 1
_MANIFEST, _TEXT, _ARRAYS = "manifest.json", "network.qir", "arrays.npz"
_CACHE = "__pycache__"  # Python's bytecode of emitted modules
_MOST_NEURONS = 1 << 28


def save(
    directory: Path,
    manifest: Mapping[str, Any],
    graph: Graph,
    emit: Callable[[Graph, Path], None] | None = None,
) -> None:
    """Write a program atomically; ``emit`` adds the files of the target.

    An existing directory is replaced only if it is empty or contains a program. Raises
    ProgramError if the directory cannot be written.
    """
    given, directory = directory, directory.resolve()  # keeps a symbolic link
    if directory == Path.cwd() or directory in Path.cwd().parents:
        raise ProgramError(f"{given} contains the current folder: choose another directory")
    if directory.exists() and not _replaceable(directory):
        raise ProgramError(f"{given} exists and is no compiled program: choose another directory")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            if emit:
                emit(graph, staged)
            _write(staged, manifest, graph)
            staged.chmod(0o777 & ~_umask())
            _swap(staged, directory)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise ProgramError(f"cannot write {given}: {error.strerror or error}") from error


def _write(staged: Path, manifest: Mapping[str, Any], graph: Graph) -> None:
    files = sorted(path.name for path in staged.iterdir())
    content = (
        json.dumps({"format": FORMAT, "files": files, **manifest}, indent=2, sort_keys=True) + "\n"
    )
    (staged / _MANIFEST).write_text(content, encoding="utf-8")
    (staged / _TEXT).write_text(show(graph), encoding="utf-8")
    arrays = {f"#{constant.name}": constant.data for constant in graph.constants}
    np.savez(staged / _ARRAYS, **arrays)


def _replaceable(directory: Path) -> bool:
    """Whether a directory is empty or contains only the files of a compiled program."""
    if not directory.is_dir():
        return False
    names = {path.name for path in directory.iterdir()}
    if not names:
        return True
    try:
        manifest = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    ours = isinstance(manifest, dict) and {"format", "target"} <= manifest.keys()
    return ours and names <= {
        _MANIFEST,
        _TEXT,
        _ARRAYS,
        _CACHE,
        *map(str, manifest.get("files", ())),
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _swap(staged: Path, directory: Path) -> None:
    if not directory.exists():
        staged.rename(directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        directory.rename(old / "old")
        try:
            staged.rename(directory)
        except OSError:
            (old / "old").rename(directory)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def load(directory: Path) -> tuple[dict[str, Any], Graph]:
    """Read manifest and graph. Raises ProgramError if the directory is no valid program."""
    try:
        manifest = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
        text = (directory / _TEXT).read_text(encoding="utf-8")
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
    try:
        graph = parse(text, _arrays(directory / _ARRAYS), str(directory / _TEXT))
    except InvalidGraph as error:
        raise ProgramError(*error.diagnostics) from error
    if any(size(node.result.type) > _MOST_NEURONS for node in graph.nodes):
        raise ProgramError(
            f"{directory} contains a population of more than {_MOST_NEURONS} neurons"
        )
    _check_whole(directory, manifest)
    return manifest, graph


def _check_whole(directory: Path, manifest: Mapping[str, Any]) -> None:
    """ProgramError unless the manifest says how inputs are preprocessed, and all files are there.

    A program whose preprocessing is lost would run, and give other results.
    """
    files = manifest.get("files")
    if not isinstance(manifest.get("preprocessing"), dict) or not isinstance(files, list):
        raise ProgramError(f"{directory} has a damaged {_MANIFEST}: compile the model again")
    present = {path.name for path in directory.iterdir()}
    if missing := [str(name) for name in files if name not in present]:
        names = ", ".join(missing)
        raise ProgramError(f"{directory} is incomplete, it has no {names}: compile the model again")


def _arrays(path: Path) -> dict[str, Array]:
    with suppress(Exception):  # zipfile and numpy raise many kinds of errors for damaged files
        with zipfile.ZipFile(path) as archive:
            stored = all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist())
        if stored:
            with np.load(path, allow_pickle=False) as arrays:
                return {name.removeprefix("#"): arrays[name] for name in arrays.files}
    raise ProgramError(f"{path} is missing or damaged: compile the model again")
