"""The text of a pipeline, read: names of passes, and their options in braces."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn, TypeAlias

from qcompiler.ir import PipelineError
from qcompiler.ir.diagnostics import is_ours, kind_and_text

from .base import Pass

Finder: TypeAlias = Callable[[str], "type[Pass] | None"]
Names: TypeAlias = Callable[[], Iterable[str]]

_PASS = re.compile(r"\s*([\w.:-]+)\s*(?:\{([^{}]*)\})?\s*")
_OPTION = re.compile(r"\s*(\w+)=([^\s,]+)\s*,?")


# What is filled into passes of the user, too; other names may mean something else there.
_OPEN = ("t_max", "weight_bits", "effort", "slices", "proved", "calibration")


def filled_in(kind: type[Pass], options: Mapping[str, Any]) -> dict[str, Any]:
    """What of some options a pass takes: those of its fields, or of ``pass.field`` for it alone."""
    found: dict[str, Any] = {}
    for name in (field.name for field in fields(kind)):
        own = f"{getattr(kind, 'name', '')}.{name}"
        if is_ours(kind) and own in options:
            found[name] = options[own]
        elif name in options and (is_ours(kind) or name in _OPEN):
            found[name] = options[name]
    return found


class Parser:
    """Reads one text; ``find``, ``names`` and ``defaults`` are those of `Pipeline.parse`."""

    def __init__(self, text: str, find: Finder, names: Names, defaults: Mapping[str, Any]) -> None:
        if not isinstance(text, str):
            raise PipelineError(f"a pipeline is read from text, not {text!r:.60}")
        self.text = text
        self.find, self.names = find, names
        self.defaults = defaults

    def _fail(self, message: str, at: int, help_: str | None = None) -> NoReturn:
        pointer = f"{message}\n{self.text}\n{' ' * at}^"
        raise PipelineError(pointer if help_ is None else f"{pointer}\n   = help: {help_}")

    def passes(self) -> Iterable[Pass]:
        """The passes in order; PipelineError with the column of the fault."""
        at = 0
        while True:
            found = _PASS.match(self.text, at)
            if found is None:
                self._fail("expected the name of a pass", at)
            yield self._build(found)
            at = found.end()
            if at == len(self.text):
                return
            if self.text[at] != ",":
                self._fail("expected a comma between passes", at)
            at += 1

    def _build(self, found: re.Match[str]) -> Pass:
        kind = self._lookup(found[1], found.start(1))
        filled = filled_in(kind, self.defaults)
        written = self._options(found[1], kind, found[2], found.start(2)) if found[2] else {}
        try:
            return kind(**{**filled, **written})
        except (ValueError, TypeError) as error:
            if _accepts(kind, written):  # then what the text leaves out is wrong
                raise PipelineError(str(error)) from error
            self._fail(f"{found[1]}: {error}", found.start(1))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or is_ours(kind):
                raise
            self._fail(f"{found[1]}: {kind_and_text(error)}", found.start(1))

    def _lookup(self, name: str, at: int) -> type[Pass]:
        kind = self._imported(name, at) if ":" in name else self.find(name)
        if kind is None:
            known = ", ".join(sorted(self.names()))
            self._fail(f"no pass is named '{name}'", at, f"known: {known}")
        return kind

    def _imported(self, name: str, at: int) -> type[Pass]:
        module, _, attribute = name.partition(":")
        if not attribute or not module or module.startswith("."):
            self._fail(f"'{name}' names no class of a module", at, "write it as module:Class")
        try:
            kind = getattr(importlib.import_module(module), attribute, None)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                self._fail(f"cannot import {name}: {error}", at, f"install {error.name}")
            remedy = "put the folder of the module on PYTHONPATH, as in PYTHONPATH=."
            if (parent := error.name.rpartition(".")[0]) in sys.modules:
                remedy = f"correct the name: {parent} is found, and holds no such module"
            self._fail(f"cannot import {name}: {error}", at, remedy)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            remedy = f"mend the module: python -c 'import {module}' shows where it fails"
            self._fail(f"cannot import {name}: {kind_and_text(error)}", at, remedy)
        if kind is None:
            self._fail(f"the module {module} has nothing named {attribute}", at)
        if not (isinstance(kind, type) and issubclass(kind, Pass)):
            self._fail(f"{name} is not a subclass of qcompiler.passes.Pass", at)
        return kind

    def _options(self, of: str, kind: type[Pass], text: str, offset: int) -> dict[str, Any]:
        known = {f.name: f for f in fields(kind) if f.metadata.get("text", True)}
        found: dict[str, Any] = {}
        at = 0
        while text[at:].strip():
            option = _OPTION.match(text, at)
            if option is None:
                self._fail("expected option=value", offset + at)
            name, value = option[1], option[2]
            if name not in known:
                options = ", ".join(known) or "none"
                self._fail(f"{of} has no option '{name}'", offset + at, f"options: {options}")
            if name in found:
                self._fail(f"{of} has {name} twice", offset + at)
            default = known[name].default
            try:
                found[name] = _value(value, None if default is MISSING else default)
            except ValueError:
                self._fail(f"{name} cannot be '{value}'", offset + option.start(2))
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
