"""Targets by name, and their pipelines with options filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcompiler import registry
from qcompiler.arguments import string
from qcompiler.backends.backend import Backend
from qcompiler.ir import Graph, InvalidGraph, PipelineError, verify
from qcompiler.passes import Pipeline


def target_of(name: str) -> Backend:
    """The backend of this name; PipelineError if there is none."""
    backend = registry.find_backend(string(name, "target"))
    if backend is None:
        known = ", ".join(registry.backend_names())
        raise PipelineError(f"no target is named {name}: choose {known}")
    return backend


def pipeline(
    target: str, passes: str | Pipeline | None, options: Mapping[str, Any] | None = None
) -> Pipeline:
    """The pipeline to run: the target's, or the one given; options fill what it leaves open.

    Raises PipelineError for one without passes, or with one that has no text.
    """
    backend = target_of(target)
    given = passes.passes if isinstance(passes, Pipeline) else passes
    if given is not None and not (given.strip() if isinstance(given, str) else given):
        raise PipelineError("passes names no pass: leave it out to run those of the target")
    if isinstance(passes, Pipeline):
        found = passes.given(options or {})
    else:
        text = backend.pipeline if passes is None else string(passes, "passes")
        found = Pipeline.parse(text, registry.find_pass, options, registry.pass_names)
    str(found)  # the manifest has it, when all is done: what has no text is told now
    return found


def check_compiled(graph: Graph, backend: Backend) -> None:
    """Raise InvalidGraph unless a graph is a program for this target."""
    try:
        verify(graph, *backend.requires)
    except InvalidGraph as error:
        heading = f"the pipeline does not produce a valid program for {backend.name}"
        raise InvalidGraph(heading, *error.diagnostics) from error
