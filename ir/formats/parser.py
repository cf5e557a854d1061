"""The parser of the text form (see `text`); it accepts files from untrusted sources."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from qcompiler.ir.builder import infer
from qcompiler.ir.diagnostics import CompileError, InvalidGraph
from qcompiler.ir.graph import Constant, Graph, Node, Operand, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import Op
from qcompiler.ir.types import Type

from .attributes import attribute_types, fits, read_literal
from .text import OPS
from .type_text import read_type

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
_END = re.compile(r"\}")
_MESSAGE_LIMIT = 300


def parse(text: str, constants: Mapping[str, Array], file: str = "text") -> Graph:
    """Read a graph that `show` wrote; ``constants`` holds the arrays by name.

    Raises InvalidGraph with file and line for anything that is not such a graph, including a
    constant that is missing or whose content is not the one that was written.
    """
    for given, kind, what in ((text, str, "text"), (constants, Mapping, "constants by name")):
        if not isinstance(given, kind):
            raise InvalidGraph(f"a graph is read from {what}, not {given!r:.60}")
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
            if done:
                self.fail("unexpected text after the end of the graph")
            if head is None:
                head = self.head(line)
            elif end is not None:
                self.match(_END, line, "} behind what the graph returns")
                done = True
            elif line.startswith("const "):
                self.constant(line)
            elif line.startswith("return "):
                end = self.end(line)
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
            if value.name in self.values:
                self.fail(f"two inputs are named %{value.name}")
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
        known = attribute_types(kind)
        values: dict[str, Any] = {}
        for part in self.list(_ATTRIBUTE, text):
            name, value = part.groups()
            if name not in known:
                self.fail(f"{mnemonic} has no attribute {name}")
            if name in values:
                self.fail(f"{mnemonic}: {name} is given twice")
            values[name] = self.literal(value)
            if not fits(values[name], known[name]):
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
            return read_literal(text)
        except ValueError as error:
            self.fail(str(error))

    def type(self, text: str) -> Type:
        try:
            return read_type(text)
        except ValueError as error:
            self.fail(str(error))
