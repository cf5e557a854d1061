"""What of a program its directory holds: one graph, from data to outputs, and a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from qcompiler.backends.backend import Backend, Emitter
from qcompiler.ir import Graph, PipelineError, ProgramError, verify
from qcompiler.ir.diagnostics import blamed, module_of
from qcompiler.ir.prologue import joined, split_prologue

from . import loading, storage
from .manifest import check_manifest


class SavedProgram(NamedTuple):
    """The parts of a program, as `Program` takes them."""

    graph: Graph
    backend: Backend
    manifest: dict[str, Any]
    prologue: Graph | None


def save_program(
    directory: str | Path,
    graph: Graph,
    backend: Backend,
    manifest: Mapping[str, Any],
    prologue: Graph | None,
) -> None:
    """Write a program, whole or not at all, with the files of its target.

    Raises ProgramError if that fails, PipelineError if code of a plugin's target fails.
    """
    manifest = {"target": backend.name, "preprocessing": {}, **manifest}
    whole, emit = joined(prologue, graph), backend.emit
    if emit is None or (prologue is not None and not backend.emits_spikes):
        storage.save(_path(directory), manifest, whole)
    else:
        emitted = partial(_emit, emit, backend.name, graph)
        storage.save(_path(directory), manifest, whole, emitted)


def _emit(emit: Emitter, target: str, graph: Graph, folder: Path) -> None:
    with blamed(emit, f"the target {target}", "fails to write its files"):
        emit(graph, folder)
    if not folder.is_dir():
        who = f"the target {target} of {module_of(emit)}"
        raise PipelineError(f"{who} fails to write its files: it removes the folder for them")


def load_program(directory: str | Path, find: Callable[[str], Backend | None]) -> SavedProgram:
    """Read a program and verify it; ``find`` looks targets up. ProgramError if it is broken."""
    if not callable(find):
        text = f"find must be a function from the name of a target to its backend, not {find!r:.60}"
        raise ProgramError(text)
    try:
        return _loaded(_path(directory), find)
    except (TypeError, ValueError, LookupError, ArithmeticError, AssertionError) as error:
        raise ProgramError(f"{directory} is damaged: compile the model again") from error


def _loaded(directory: Path, find: Callable[[str], Backend | None]) -> SavedProgram:
    manifest, whole = loading.load(directory)
    prologue, graph = split_prologue(whole)
    target = manifest.pop("target", None)
    with blamed(find, "the function find"):
        backend = find(str(target))
    if backend is None:
        raise ProgramError(f"{directory} is compiled for an unknown target: {target}")
    check_manifest(manifest, directory)
    for own in ("format", "files"):
        manifest.pop(own, None)
    verify(graph, *backend.requires)
    if prologue is not None:
        verify(prologue)
    return SavedProgram(graph, backend, manifest, prologue)


def _path(directory: str | Path) -> Path:
    try:
        place = Path(directory)
    except TypeError as error:
        raise ProgramError(f"a directory is a path, not {type(directory).__name__}") from error
    if directory == "":  # of which Path makes the current folder
        raise ProgramError("the path of the program is empty: give its directory")
    return place
