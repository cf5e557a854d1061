"""A pipeline: passes in order, written as text, with checks before and after each pass.

An example of the text form:

fold-batchnorm,fold-linear,quantize{t_max=16 proved=true},my_package.module:MyPass{depth=2}
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, NoReturn, TypeAlias

from qcompiler.ir import CompileError, Graph, InvalidGraph, PipelineError, verify
from qcompiler.ir.diagnostics import kind_and_text
from qcompiler.ir.memory import give_back
from qcompiler.ir.verify import verify_invariants

from .base import Pass
from .built_in import BUILT_IN

Watcher: TypeAlias = Callable[[Pass, Graph], None]
Finder: TypeAlias = Callable[[str], "type[Pass] | None"]

_PASS = re.compile(r"\s*([\w.:-]+)\s*(?:\{([^{}]*)\})?\s*")
_OPTION = re.compile(r"\s*(\w+)=([^\s,]+)\s*,?")


@dataclass(frozen=True)
class Pipeline:
    """Passes in order. ``str(pipeline)`` is text that `parse` reads back."""

    passes: tuple[Pass, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.passes))

    @staticmethod
    def parse(
        text: str, find: Finder | None = None, defaults: Mapping[str, Any] | None = None
    ) -> Pipeline:
        """Read a pipeline.

        ``find`` looks a name up and returns the class or None (default: the built-in passes);
        ``package.module:ClassName`` is imported. ``defaults`` fill options that the text leaves
        out, in every pass that has them. Raises PipelineError with the column of the fault.
        """
        return Pipeline(tuple(_Parser(text, find or built_in, defaults or {}).passes()))

    def given(self, options: Mapping[str, Any]) -> Pipeline:
        """The same passes, with options that text cannot hold, such as calibration data."""

        def fill(step: Pass) -> Pass:
            hidden = (f.name for f in fields(step) if not f.metadata.get("text", True))
            filled = {n: options[n] for n in hidden if n in options and getattr(step, n) is None}
            return replace(step, **filled)

        return Pipeline(tuple(map(fill, self.passes)))

    def run(self, graph: Graph, watch: Watcher | None = None) -> Graph:
        """Run all passes and return the last graph.

        Before each pass the pipeline verifies what the pass ``requires``, after it what it
        ``establishes``. ``watch`` is called with the pass and its result. Raises the `CompileError`
        of a pass. Raises InvalidGraph, which names the pass, if an invariant is broken.
        """
        verify(graph)
        for step in self.passes:
            with _told(f"the input of pass {step.name} is invalid"):
                verify_invariants(graph, *step.requires)
            graph = _applied(step, graph)
            give_back()
            with _told(f"the result of pass {step.name} is invalid"):
                _verify_result(step, graph)
            if watch:
                watch(step, graph)
        return graph


def _applied(step: Pass, graph: Graph) -> Graph:
    """What a pass makes of a graph; PipelineError for the faults of passes that are not ours."""
    with _blamed(step, "fails"):
        found = step(graph)
    if not isinstance(found, Graph):
        raise PipelineError(f"the pass {step.name} returns no Graph, but {type(found).__name__}")
    return found


def _verify_result(step: Pass, graph: Graph) -> None:
    """Check what a pass has made; PipelineError for what is no graph inside."""
    with _blamed(step, "returns a graph that is none"):
        verify(graph, *step.establishes)


@contextmanager
def _blamed(step: Pass, fault: str) -> Iterator[None]:
    """Tell whose pass it is that raises something else than a CompileError, if it is not ours."""
    try:
        yield
    except (CompileError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if (module := type(step).__module__).startswith("qcompiler."):
            raise
        what = kind_and_text(error)
        raise PipelineError(f"the pass {step.name} of {module} {fault}: {what}") from error


@contextmanager
def _told(heading: str) -> Iterator[None]:
    try:
        yield
    except InvalidGraph as error:
        raise InvalidGraph(heading, *error.diagnostics) from error


def built_in(name: str) -> type[Pass] | None:
    """The built-in pass of this name."""
    if name not in BUILT_IN:
        return None
    folder, kind = BUILT_IN[name].split(".")
    module = importlib.import_module(f".{folder}.{name.replace('-', '_')}", __package__)
    found: type[Pass] = getattr(module, kind)
    return found


class _Parser:
    def __init__(self, text: str, find: Finder, defaults: Mapping[str, Any]) -> None:
        self.text = text
        self.find = find
        self.defaults = defaults

    def fail(self, message: str, at: int, help_: str | None = None) -> NoReturn:
        pointer = f"{message}\n{self.text}\n{' ' * at}^"
        raise PipelineError(pointer if help_ is None else f"{pointer}\n   = help: {help_}")

    def passes(self) -> Iterable[Pass]:
        at = 0
        while True:
            found = _PASS.match(self.text, at)
            if found is None:
                self.fail("expected the name of a pass", at)
            yield self.build(found)
            at = found.end()
            if at == len(self.text):
                return
            if self.text[at] != ",":
                self.fail("expected a comma between passes", at)
            at += 1

    def build(self, found: re.Match[str]) -> Pass:
        kind = self.lookup(found[1], found.start(1))
        filled = {f.name: self.defaults[f.name] for f in fields(kind) if f.name in self.defaults}
        written = self.options(kind, found[2], found.start(2)) if found[2] else {}
        try:
            return kind(**{**filled, **written})
        except (ValueError, TypeError) as error:
            if _accepts(kind, written):  # then what the text leaves out is wrong
                raise PipelineError(str(error)) from error
            self.fail(f"{found[1]}: {error}", found.start(1))
        except (Exception, SystemExit) as error:
            if kind.__module__.startswith("qcompiler."):
                raise
            self.fail(f"{found[1]}: {kind_and_text(error)}", found.start(1))

    def lookup(self, name: str, at: int) -> type[Pass]:
        kind = self.imported(name, at) if ":" in name else self.find(name)
        if kind is None:
            known = ", ".join(sorted(BUILT_IN))
            self.fail(f"no pass is named '{name}'", at, f"known: {known}")
        return kind

    def imported(self, name: str, at: int) -> type[Pass]:
        module, _, attribute = name.partition(":")
        try:
            kind = getattr(importlib.import_module(module), attribute, None)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                self.fail(f"cannot import {name}: {error}", at, f"install {error.name}")
            remedy = "put the folder of the module on PYTHONPATH, as in PYTHONPATH=."
            self.fail(f"cannot import {name}: {error}", at, remedy)
        except (Exception, SystemExit) as error:
            remedy = f"mend the module: python -c 'import {module}' shows where it fails"
            self.fail(f"cannot import {name}: {kind_and_text(error)}", at, remedy)
        if kind is None:
            self.fail(f"the module {module} has nothing named {attribute}", at)
        if not (isinstance(kind, type) and issubclass(kind, Pass)):
            self.fail(f"{name} is not a subclass of qcompiler.passes.Pass", at)
        return kind

    def options(self, kind: type[Pass], text: str, offset: int) -> dict[str, Any]:
        known = {f.name: f for f in fields(kind) if f.metadata.get("text", True)}
        found: dict[str, Any] = {}
        at = 0
        while text[at:].strip():
            option = _OPTION.match(text, at)
            if option is None:
                self.fail("expected option=value", offset + at)
            name, value = option[1], option[2]
            if name not in known:
                options = ", ".join(known) or "none"
                self.fail(f"{kind.name} has no option '{name}'", offset + at, f"options: {options}")
            default = known[name].default
            try:
                found[name] = _value(value, None if default is MISSING else default)
            except ValueError:
                self.fail(f"{name} cannot be '{value}'", offset + option.start(2))
            at = option.end()
        return found


def _accepts(kind: type[Pass], options: Mapping[str, Any]) -> bool:
    try:
        kind(**options)
    except (ValueError, TypeError):
        return False
    return True


def _value(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if isinstance(default, int | float | str):
        return type(default)(text)
    return _guess(text)


def _guess(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
