"""A pipeline: passes in order, written as text, with checks before and after each pass.

An example of the text form:

fold-batchnorm,fold-linear,quantize{t_max=16 proved=true},my_package.module:MyPass{depth=2}
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np

from qcompiler.ir import CompileError, Graph, PipelineError, verify
from qcompiler.ir.diagnostics import blamed, is_ours
from qcompiler.ir.memory import give_back
from qcompiler.ir.verify import verify_invariants

from .base import Pass
from .built_in import BUILT_IN
from .pipeline_text import Finder, Names, Parser, filled_in

Watcher: TypeAlias = Callable[[Pass, Graph], None]


@dataclass(frozen=True)
class Pipeline:
    """Passes in order. ``str(pipeline)`` is text that `parse` reads back."""

    passes: tuple[Pass, ...]

    def __post_init__(self) -> None:
        """Raise PipelineError for what is no pass, or has no name."""
        if not isinstance(self.passes, tuple | list):
            raise PipelineError(f"a pipeline is a tuple of passes, not {self.passes!r:.60}")
        for step in self.passes:
            _check_named(step)

    def __str__(self) -> str:
        return ",".join(map(text_of, self.passes))

    @staticmethod
    def parse(
        text: str,
        find: Finder | None = None,
        defaults: Mapping[str, Any] | None = None,
        names: Names = BUILT_IN.keys,
    ) -> Pipeline:
        """Read a pipeline.

        ``find`` looks a name up and returns the class or None (default: the built-in passes), of
        those that ``names`` gives; ``package.module:ClassName`` is imported. ``defaults`` fill
        options that the text leaves out: in every pass that has them, but in passes that are not
        ours only those that every pass may share, such as ``t_max``. A default named
        ``pass.option`` is for that pass alone. Raises PipelineError with the column of the fault,
        and for what is no text.
        """
        return Pipeline(tuple(Parser(text, find or built_in, names, defaults or {}).passes()))

    def given(self, options: Mapping[str, Any]) -> Pipeline:
        """The same passes, with options that text cannot hold, such as calibration data."""

        def fill(step: Pass) -> Pass:
            hidden = {f.name for f in fields(step) if not f.metadata.get("text", True)}
            open_ = {name for name in hidden if getattr(step, name) is None}
            filled = filled_in(type(step), options)
            with _blamed(step):
                return replace(step, **{name: filled[name] for name in open_ & filled.keys()})

        return Pipeline(tuple(map(fill, self.passes)))

    def run(self, graph: Graph, watch: Watcher | None = None) -> Graph:
        """Run all passes and return the last graph.

        Before each pass the pipeline verifies what the pass ``requires``, after it what it
        ``establishes``. ``watch`` is called with the pass and its result. Raises the `CompileError`
        of a pass. Raises InvalidGraph, which names the pass, if an invariant is broken, and
        PipelineError if a pass of the user fails.
        """
        verify(graph)
        for step in self.passes:
            with _blamed(step), _told(f"the input of pass {step.name} is invalid"):
                verify_invariants(graph, *step.requires)
            graph = _applied(step, graph)
            give_back()
            _verify_result(step, graph)
            if watch:
                watch(step, graph)
        return graph


def text_of(step: Pass) -> str:
    """A pass as the text of a pipeline has it; PipelineError if one of the user has no text."""
    with _blamed(step):
        return str(step)


def _check_named(step: Pass) -> None:
    if not isinstance(step, Pass):
        raise PipelineError(f"a pipeline is of passes, not of {step!r:.60}")
    kind = type(step)
    with blamed(step, f"the pass {kind.__name__}"):
        name = getattr(step, "name", None)
    if not isinstance(name, str):
        message = f"the pass {kind.__name__} of {kind.__module__} has no name: give its class one"
        raise PipelineError(f'{message}, as in name = "mine"')


def _applied(step: Pass, graph: Graph) -> Graph:
    """What a pass makes of a graph; PipelineError for the faults of passes that are not ours."""
    heading = nullcontext() if is_ours(step) else _told(f"the pass {step.name} refuses the network")
    with _blamed(step), heading, np.errstate(over="ignore", invalid="ignore"):  # told below
        found = step(graph)
    if not isinstance(found, Graph):
        raise PipelineError(f"the pass {step.name} returns no Graph, but {type(found).__name__}")
    return found


def _verify_result(step: Pass, graph: Graph) -> None:
    """Check what a pass has made, and what it promises; PipelineError for what is no graph."""
    invalid = f"the result of pass {step.name} is invalid"
    with _blamed(step, "returns a graph that is none"), _told(invalid):
        verify(graph)
    with _blamed(step):
        for promise in step.establishes:
            with _told(f"{invalid}: the pass promises {promise.name}"):
                verify_invariants(graph, promise)


def _blamed(step: Pass, fault: str = "fails") -> AbstractContextManager[None]:
    return blamed(step, f"the pass {step.name}", fault)


@contextmanager
def _told(heading: str) -> Iterator[None]:
    try:
        yield
    except CompileError as error:
        raise type(error)(heading, *error.diagnostics) from error


def built_in(name: str) -> type[Pass] | None:
    """The built-in pass of this name."""
    if name not in BUILT_IN:
        return None
    folder, kind = BUILT_IN[name].split(".")
    module = importlib.import_module(f".{folder}.{name.replace('-', '_')}", __package__)
    found: type[Pass] = getattr(module, kind)
    return found
