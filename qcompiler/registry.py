"""Passes and targets by name: the built-in ones, and those of installed plugins.

A plugin declares entry points in the groups ``qcompiler.passes`` (a subclass of `Pass`) and
``qcompiler.backends`` (a `Backend`). It is loaded when its name is asked for, so that a broken
plugin breaks nobody else. In pickles a target is its name, as in saved programs.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterable
from typing import Any

from qcompiler.backends.backend import Backend, EngineFactory
from qcompiler.backends.targets import BUILT_IN as BACKENDS
from qcompiler.backends.targets import ENGINES
from qcompiler.passes.pipeline import built_in

from .ir import Invariant, PipelineError
from .passes import BUILT_IN as PASSES
from .passes import Pass
from .plugins import load, plugins


def pass_names() -> tuple[str, ...]:
    """Names of all passes, built-in ones in the order in which they usually run."""
    return (*PASSES, *sorted(plugins("qcompiler.passes", PASSES)))


def find_pass(name: str) -> type[Pass] | None:
    """The pass of this name, or None. PipelineError if its plugin is broken."""
    if (own := built_in(name)) is not None:
        return own
    found = load("qcompiler.passes", name, PASSES)
    if found is not None and not (isinstance(found, type) and issubclass(found, Pass)):
        raise PipelineError(f"the plugin pass {name} is not a subclass of qcompiler.passes.Pass")
    return found


def backend_names() -> tuple[str, ...]:
    """Names of all targets."""
    return (*BACKENDS, *sorted(plugins("qcompiler.backends", BACKENDS)))


def find_backend(name: str) -> Backend | None:
    """The target of this name, or None. PipelineError if its plugin is broken."""
    if name in BACKENDS:
        return BACKENDS[name]
    found = load("qcompiler.backends", name, BACKENDS)
    if found is not None and not isinstance(found, Backend):
        raise PipelineError(f"the plugin target {name} is not a qcompiler Backend")
    if found is not None:
        _check_parts(name, found)
    return found


def _check_parts(name: str, backend: Backend) -> None:
    for part, kind in (("requires", Invariant), ("engines", EngineFactory)):
        given = getattr(backend, part)
        if not (isinstance(given, tuple) and all(isinstance(one, kind) for one in given)):
            what = f"must be a tuple of {kind.__name__}, not {given!r:.60}"
            raise PipelineError(f"the plugin target {name}: {part} {what}")


def backend_of_worker(name: str) -> Backend:
    """The target of this name on a worker of a cluster; PipelineError if it lacks the plugin."""
    if (found := find_backend(name)) is None:
        raise PipelineError(f"a worker has no plugin for the target {name}")
    return found


def _pickled(backend: Backend) -> tuple[Any, ...]:
    """How a target is pickled: by its name. PipelineError if it is not the one of this name."""
    if find_backend(backend.name) != backend:
        message = f"the target {backend.name} has no plugin, so no pickle can name it"
        raise PipelineError(f"{message}: declare an entry point in qcompiler.backends")
    return _unpickled, (backend.name,)


def _unpickled(name: str) -> Backend:
    if (found := find_backend(name)) is None:
        raise PipelineError(f"the pickle needs the target {name}: install its plugin")
    return found


copyreg.pickle(Backend, _pickled)


def engines(targets: Iterable[Backend]) -> tuple[EngineFactory, ...]:
    """The built-in engines, and those that targets bring."""
    brought = {engine.name: engine for target in targets for engine in target.engines}
    return tuple(({**ENGINES} | brought).values())
