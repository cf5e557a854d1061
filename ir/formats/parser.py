"""The parser of the text form (see `text`); it accepts files from untrusted sources."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from qcompiler.ir.diagnostics import CompileError, InvalidGraph
from qcompiler.ir.graph import Constant, Graph, Node, Operand, Value, infer
from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import Op
from qcompiler.ir.types import Coding, Current, Spikes, Tensor, Tick, Type

from .text import OPS

_STRING = r'"(?:[^"\\]|\\.)*"'
_NAME = rf"(?:[\w./:+-]+|{_STRING})"
_GRAPH = re.compile(rf"graph @({_NAME})\((.*)\) \{{")
_INPUT = re.compile(rf"%({_NAME}): ([a-z0-9]+\[[^\]]*\])(?:, )?")
_CONST = re.compile(rf"const #({_NAME}): ([a-z0-9]+\[[^\]]*\]) = ([0-9a-f]{{16}})")
# Patterns take time in proportion to the line, whatever it holds: no part can match in two ways.
_NODE = re.compile(
    rf"%({_NAME}): ([a-z0-9]+\[[^\]]*\]) = ([a-z.]+)\(([^)]*)\)"
    r"(?: \{([^}]*)\})?(?: from (.*))?"
)
_ATTRIBUTE = re.compile(r"(\w+)=(\([^)]*\)|'[^']*'|[^\s()']+)(?: |$)")
_ORIGIN = re.compile(rf"({_STRING})(?:, |$)")
_OPERAND = re.compile(rf"([%#])({_NAME})(?:, )?")
_RETURN = re.compile(r"return (.*)")
_OUTPUT = re.compile(rf"%({_NAME})(?: as ({_STRING}))?(?:, )?")
_TENSOR = re.compile(
    r"([a-z]\d+)\[([\dx]*)(?: in ([^\s:]+):([^\s:]+))?(?: t=(\d{1,6}))?(?: digits=(\d\d?))?\]"
)
_SPIKES = re.compile(
    r"spikes\[([\dx]*) t=(\d+) scale=(\S+?)(?: zero=(-?\d+))?(?: coding=(silent|burst))?\]"
)
_CURRENT = re.compile(r"current\[([\dx]*)\]")
_LITERAL_LIMIT = 1 << 10  # characters for Python's parser; longer literals are whole numbers
_MESSAGE_LIMIT = 300
_DIGITS = 13  # of a whole number
_LARGEST_WHOLE = 1 << 40
_LARGEST_REAL = 1e39


def parse(text: str, constants: Mapping[str, Array], file: str = "text") -> Graph:
    """Read a graph that `show` wrote; ``constants`` holds the arrays by name.

    Raises InvalidGraph with file and line for anything that is not such a graph, including a
    constant that is missing or whose content is not the one that was written.
    """
    return _Parser(constants, file).graph(text)


class _Parser:
    def __init__(self, constants: Mapping[str, Array], file: str) -> None:
        self.arrays = constants
        self.file = file
        self.line = 0
        self.values: dict[str, Value] = {}
        self.constants: dict[str, Constant] = {}

    def fail(self, message: str) -> NoReturn:
        raise InvalidGraph(f"{self.file}:{self.line}: {message[:_MESSAGE_LIMIT]}")

    def graph(self, text: str) -> Graph:
        nodes: list[Node] = []
        head: tuple[str, tuple[Value, ...]] | None = None
        end: tuple[tuple[Value, ...], tuple[str, ...]] | None = None
        done = False
        for self.line, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("//"):
                continue
            if head is None:
                head = self.head(line)
            elif line.startswith("const "):
                self.constant(line)
            elif line.startswith("return "):
                end = self.end(line)
            elif done:
                self.fail("unexpected text after the end of the graph")
            elif line == "}" and end is not None:
                done = True
            else:
                nodes.append(self.node(line))
        if head is None or end is None or not done:
            self.fail("the text ends inside the graph")
        return Graph(*head, tuple(nodes), *end)

    def match(self, pattern: re.Pattern[str], line: str, what: str) -> re.Match[str]:
        if found := pattern.fullmatch(line):
            return found
        self.fail(f"expected {what}, found: {line[:80]}")

    def head(self, line: str) -> tuple[str, tuple[Value, ...]]:
        found = self.match(_GRAPH, line, "graph @name(%input: type) {")
        inputs = []
        for part in self.list(_INPUT, found[2]):
            value = Value(self.unquote(part[1]), self.type(part[2]))
            self.values[value.name] = value
            inputs.append(value)
        return self.unquote(found[1]), tuple(inputs)

    def list(self, pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
        found, at = [], 0
        while at < len(text):
            part = pattern.match(text, at)
            if part is None:
                self.fail(f"cannot read: {text[at : at + 80]}")
            found.append(part)
            at = part.end()
        return found

    def constant(self, line: str) -> None:
        found = self.match(_CONST, line, "const #name: type = digest")
        name = self.unquote(found[1])
        if name not in self.arrays:
            self.fail(f"the array of #{name} is missing")
        constant = Constant(name, self.arrays[name])
        if str(constant.type) != found[2] or constant.digest != found[3]:
            self.fail(f"the array of #{name} is not the one that was written")
        self.constants[name] = constant

    def end(self, line: str) -> tuple[tuple[Value, ...], tuple[str, ...]]:
        parts = self.list(_OUTPUT, self.match(_RETURN, line, "return %value")[1])
        values = tuple(self.operand("%", self.unquote(part[1])) for part in parts)
        names = (self.unquote(part[2] or part[1]) for part in parts)
        return tuple(v for v in values if isinstance(v, Value)), tuple(names)

    def operand(self, sigil: str, name: str) -> Operand:
        table: Mapping[str, Operand] = self.constants if sigil == "#" else self.values
        if name not in table:
            self.fail(f"{sigil}{name} is not defined")
        return table[name]

    def node(self, line: str) -> Node:
        found = self.match(_NODE, line, "%name: type = operation(operands)")
        name, type_text, mnemonic, operand_text, attributes, origin_text = found.groups()
        op = self.op(mnemonic, attributes or "")
        operands = tuple(
            self.operand(part[1], self.unquote(part[2]))
            for part in self.list(_OPERAND, operand_text)
        )
        origin = tuple(self.unquote(part[1]) for part in self.list(_ORIGIN, origin_text or ""))
        result = Value(self.unquote(name), self.type(type_text))
        try:
            inferred = infer(op, operands)
        except CompileError as error:
            self.fail(error.diagnostics[0].message)
        except (TypeError, AttributeError, IndexError) as error:
            self.fail(f"{mnemonic}: attributes do not fit ({error})")
        if inferred != result.type.layout:
            self.fail(f"%{result.name} is {inferred}, not {result.type}")
        if result.name in self.values:
            self.fail(f"%{result.name} is defined twice")
        self.values[result.name] = result
        return Node(op, operands, result, origin)

    def op(self, mnemonic: str, text: str) -> Op:
        kind = OPS.get(mnemonic)
        if kind is None:
            self.fail(f"no operation is named {mnemonic}")
        known = {field.name for field in fields(kind)}
        values: dict[str, Any] = {}
        for part in self.list(_ATTRIBUTE, text):
            name, value = part.groups()
            if name not in known:
                self.fail(f"{mnemonic} has no attribute {name}")
            values[name] = self.literal(value)
            if not fits(values[name], get_type_hints(kind)[name]):
                self.fail(f"{mnemonic}: {name} cannot be {value[:80]}")
        try:
            op = kind(**values)
            hash(op)
        except (TypeError, ValueError) as error:
            self.fail(f"{mnemonic}: {error}")
        return op

    def unquote(self, name: str) -> str:
        try:
            return str(json.loads(name)) if name.startswith('"') else name
        except ValueError:
            self.fail(f"not a name: {name[:80]}")

    def literal(self, text: str) -> Any:
        try:
            if len(text) > _LITERAL_LIMIT and not text.startswith("'"):
                return _whole_numbers(text)
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            self.fail(f"not a literal: {text[:80]}")

    def type(self, text: str) -> Type:
        try:
            if found := _TENSOR.fullmatch(text):
                bounds = (float(found[3]), float(found[4])) if found[3] else None
                if bounds and not -_LARGEST_REAL <= bounds[0] <= bounds[1] <= _LARGEST_REAL:
                    self.fail(f"invalid range from {found[3]} to {found[4]}")
                levels = int(found[5]) if found[5] else None
                return Tensor(_shape(found[2]), found[1], bounds, levels, int(found[6] or 1))
            if found := _SPIKES.fullmatch(text):
                zero = int(found[4] or 0)
                code = int(found[2]), float(found[3]), zero
                coding: Coding = next((c for c in get_args(Coding) if c == found[5]), "one-spike")
                return Spikes(_shape(found[1]), *code, coding)
            if found := _CURRENT.fullmatch(text):
                return Current(_shape(found[1]))
        except ValueError as error:
            self.fail(str(error))
        if text == "tick[]":
            return Tick()
        self.fail(f"unknown type: {text}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a literal is what an attribute of this type may hold; numbers are bounded."""
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if items[-1] is Ellipsis:
            return all(fits(item, items[0]) for item in value)
        return len(value) == len(items) and all(map(fits, value, items))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is not None:
        return any(fits(value, option) for option in get_args(hint))
    if hint is float:
        return type(value) in (int, float) and abs(value) <= _LARGEST_REAL
    if hint is int:
        return type(value) is int and abs(value) <= _LARGEST_WHOLE
    return type(value) is hint


def _shape(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x"))) if text else ()


def _whole_numbers(text: str) -> tuple[int, ...]:
    """A long tuple; Python's own parser would take a hundred times its memory."""
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError("no tuple")
    parts = text[1:-1].split(", ")
    if any(len(part) > _DIGITS for part in parts):
        raise ValueError("no whole numbers")
    return tuple(map(int, parts))
