"""Passes and targets by name: the built-in ones, and those of installed plugins.

A plugin declares entry points in the groups ``qcompiler.passes`` (a subclass of `Pass`) and
``qcompiler.backends`` (a `Backend`). It is loaded when its name is asked for, so that a broken
plugin breaks nobody else. In pickles a target is its name, as in saved programs.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from qcompiler.backends.backend import Backend, EngineFactory
from qcompiler.backends.chip import Chip
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.targets import BUILT_IN as BACKENDS
from qcompiler.backends.targets import ENGINES
from qcompiler.passes.pipeline import built_in

from .ir import Invariant, PipelineError
from .passes import BUILT_IN as PASSES
from .passes import Pass
from .plugins import load, plugins

_Parts: TypeAlias = tuple[tuple[str, str, Callable[[object], bool]], ...]


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
    if found is not None:
        _check_name(f"the plugin pass {name}", name, getattr(found, "name", None))
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


def _check_name(who: str, name: str, own: object) -> None:
    if own != name:  # messages, programs and pickles would have a name that nothing finds
        raise PipelineError(f"{who} calls itself {own!r:.60}: give it the name of its entry point")


def _check_parts(name: str, backend: Backend) -> None:
    who = f"the plugin target {name}"
    _check_name(who, name, backend.name)
    _check_fields(who, backend, _PARTS)
    for engine in backend.engines:
        _check_fields(f"{who}: of an engine", engine, _ENGINE_PARTS)
        if ENGINES.get(engine.name, engine) != engine:
            raise PipelineError(f"{who}: its engine {engine.name} has the name of a built-in one")


def _check_fields(who: str, whole: object, parts: _Parts) -> None:
    for part, what, fits in parts:
        if not fits(given := getattr(whole, part)):
            raise PipelineError(f"{who}: {part} must be {what}, not {given!r:.60}")


def _tuple_of(kind: type, given: object) -> bool:
    return isinstance(given, tuple) and all(isinstance(one, kind) for one in given)


def _instance_of(kind: Any, given: object) -> bool:
    return isinstance(given, kind)


def _function(given: object) -> bool:
    return given is None or callable(given)


def _bits(given: object) -> bool:
    return isinstance(given, int) and given >= 2


def _word(given: object) -> bool:
    return isinstance(given, str) and given.isprintable() and bool(given.strip())


_PARTS: _Parts = (
    ("description", "a text", partial(_instance_of, str)),
    ("pipeline", "a text", partial(_instance_of, str)),
    ("requires", "a tuple of Invariant", partial(_tuple_of, Invariant)),
    ("engines", "a tuple of EngineFactory", partial(_tuple_of, EngineFactory)),
    ("emit", "a function", _function),
    ("ready", "a function", _function),
    ("chip", "a Chip", partial(_instance_of, Chip | None)),
    ("energy", "a CostModel", partial(_instance_of, CostModel)),
    ("emits_spikes", "True or False", partial(_instance_of, bool)),
    ("most_weight_bits", "a whole number from 2 on", _bits),
)
_ENGINE_PARTS: _Parts = (
    ("name", "a text that is not empty", _word),
    ("description", "a text", partial(_instance_of, str)),
    ("make", "a function", callable),
    ("streams", "True or False", partial(_instance_of, bool)),
)


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
