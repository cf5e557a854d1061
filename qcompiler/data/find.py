"""The reader of a path: a built-in one, or that of an installed plugin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from qcompiler.ir import DataError, Diagnostic, PipelineError
from qcompiler.ir.diagnostics import blamed, module_of
from qcompiler.plugins import load, plugins

from .frames.opening import open_data
from .frames.source import Reader, Source
from .readers.built_in import BUILT_IN

GROUP = "qcompiler.readers"
_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")
_OWN = frozenset(reader.name for reader in BUILT_IN)


def reader_names() -> tuple[str, ...]:
    """Names of all readers, those of plugins first."""
    return (*sorted(plugins(GROUP, _OWN)), *(reader.name for reader in BUILT_IN))


def find_reader(name: str) -> Reader:
    """The reader of one of these names. PipelineError if its plugin is broken."""
    own = next((reader for reader in BUILT_IN if reader.name == name), None)
    return own or _of_plugin(name)


def reader_of(path: Path) -> Reader:
    """The reader that claims a path. DataError if none does, and for a path that is not there.

    Plugins are loaded only for paths that no built-in reader claims. PipelineError for those that
    are broken, if none of the others claims the path.
    """
    broken: list[Diagnostic] = []
    try:
        found = _claiming(path, broken)
    except OSError as error:
        reason = error.strerror or "its name is too long"
        raise DataError(f"{path} cannot be read: {reason}") from error
    if found is not None:
        return found
    kinds = "; ".join(reader.description for reader in BUILT_IN)
    what = "folder" if path.is_dir() else "file"
    unknown = f"{path} is no {what} of a known kind: give {kinds}"
    raise PipelineError(unknown, *broken) if broken else DataError(unknown)


def _claiming(path: Path, broken: list[Diagnostic]) -> Reader | None:
    """The reader that claims a path; what is wrong with plugins is added to ``broken``."""
    if not path.is_dir() and not path.is_file():
        open_data(path).close()  # which tells why not: a pipe, a device, or nothing
    for reader in BUILT_IN:
        if reader.claims(path):
            return reader
    for name in sorted(plugins(GROUP, _OWN)):
        try:
            if (reader := _of_plugin(name)).claims(path):
                return reader
        except PipelineError as error:
            broken += error.diagnostics
    return None


def _of_plugin(name: str) -> Reader:
    found = load(GROUP, name, _OWN)
    if not isinstance(found, Reader):
        raise PipelineError(f"the plugin reader {name} is not a qcompiler.data.Reader")
    claims, open_ = _blamed(name, found.claims), _blamed(name, found.open)
    return replace(found, claims=claims, open=_opening(name, open_))


def _opening(name: str, function: Callable[_Given, Source]) -> Callable[_Given, Source]:
    """The function that opens a path. PipelineError if what it returns is no source."""

    @wraps(function)
    def call(*given: _Given.args, **options: _Given.kwargs) -> Source:
        source = function(*given, **options)
        if fault := _fault(source):
            raise PipelineError(f"the plugin reader {name} of {module_of(function)} opens {fault}")
        return source

    return call


def _fault(source: Source) -> str | None:
    """What is wrong with what a reader opens, as the end of a sentence."""
    kind = type(source).__name__
    if not isinstance(source, Source):
        return f"no Source, but {kind}"
    if not isinstance(getattr(source, "skipped", None), set):
        return f"a {kind} without a set of skipped: call super().__init__() in its own"
    with reading(source):
        told = source.told
    if not isinstance(told, tuple) or not all(isinstance(text, str) for text in told):
        return f"a {kind} whose told is {told!r:.60}: it must be a tuple of texts"
    return None


def _blamed(name: str, function: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """The function of a plugin, whose faults are told as the plugin's."""

    @wraps(function)
    def call(*given: _Given.args, **options: _Given.kwargs) -> _Found:
        with blamed(function, f"the plugin reader {name}", spared=(OSError,)):
            return function(*given, **options)

    return call


def reading(source: Source) -> AbstractContextManager[None]:
    """Tell faults of reading as those of the source, if it is not ours: a PipelineError."""
    return blamed(source, f"the reader {type(source).__name__}", spared=(OSError,))


def length_of(source: Source) -> int:
    """The number of frames of a source. PipelineError if that of a plugin cannot tell."""
    with reading(source):
        return len(source)
