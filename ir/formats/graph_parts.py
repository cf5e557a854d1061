"""What the parts of a graph must be, so that everything else can rely on it, and files hold it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import chain
from typing import Any, get_args

import numpy as np

from qcompiler.ir.diagnostics import Diagnostic, is_ours
from qcompiler.ir.graph import Constant, Graph, Node, Operand, Value
from qcompiler.ir.ops import Op
from qcompiler.ir.types import Type

from .attributes import attribute_types, fits

_LONGEST_NAME = 10_000  # letters; archives hold names of 65,535 bytes
_SURROGATE = re.compile("[\ud800-\udfff]")
_TUPLES = "inputs", "nodes", "outputs", "output_names"
_RENAME = "rename it in the model, then compile again"


def ill_made(graph: Graph) -> Iterator[Diagnostic]:
    """What is not as the types of a graph say. Later checks rely on earlier ones."""
    for check in (_containers, _members, _texts, _names, _attributes, _constants):
        found = tuple(check(graph))
        yield from found
        if found:
            return


def _containers(graph: Graph) -> Iterator[Diagnostic]:
    for name in _TUPLES:
        if not isinstance(found := getattr(graph, name), tuple):
            yield Diagnostic(f"the {name} of the graph are a {type(found).__name__}, not a tuple")
            return
    for node in graph.nodes:
        if not isinstance(node, Node):
            yield Diagnostic(f"a node of the graph is a {type(node).__name__}, not a Node")
            return
        for name in ("operands", "origin"):
            if not isinstance(found := getattr(node, name), tuple):
                what = f"{_called(node.result)} has a {type(found).__name__} as its {name}"
                yield Diagnostic(f"{what}, not a tuple")


def _members(graph: Graph) -> Iterator[Diagnostic]:
    for what in ("inputs", "outputs"):
        values = getattr(graph, what)
        yield from _all(values, Value, f"the {what} of the graph hold", "Value")
    for node in graph.nodes:
        called = _called(node.result)
        yield from _all((node.result,), Value, f"the result of {called} is", "Value")
        yield from _all((node.op,), Op, f"the operation of {called} is", "Op")
        kind = type(node.op)
        if isinstance(node.op, Op) and not isinstance(getattr(kind, "mnemonic", None), str):
            message = f"the operation {kind.__name__} of {called} has no mnemonic"
            help_ = 'give its class one, as in mnemonic: ClassVar[str] = "mine.double"'
            yield Diagnostic(message, node.origin, help_)
        yield from _all(node.operands, get_args(Operand), f"{called} reads", "Value or Constant")
        yield from _all(node.origin, str, f"the origin of {called} holds", "str")


def _all(parts: tuple[Any, ...], kind: Any, where: str, what: str) -> Iterator[Diagnostic]:
    for part in parts:
        if not isinstance(part, kind):
            yield Diagnostic(f"{where} {type(part).__name__}, not {what}")


def _called(value: object) -> str:
    return f"%{getattr(value, 'name', value)}"


def _texts(graph: Graph) -> Iterator[Diagnostic]:
    """Names that are no text, and values that have no type."""
    yield from _all((graph.name,), str, "the name of the graph is", "str")
    yield from _all(graph.output_names, str, "the names of the outputs hold", "str")
    made = chain.from_iterable((*node.operands, node.result) for node in graph.nodes)
    for part in (*graph.inputs, *graph.outputs, *made):
        yield from _all((part.name,), str, "the name of a value or constant is", "str")
        if isinstance(part, Value):
            yield from _all((part.type,), get_args(Type), f"the type of {_called(part)} is", "Type")


def _names(graph: Graph) -> Iterator[Diagnostic]:
    """Names that archives of arrays could not hold: one finding for all of a kind."""
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        for one in (*node.operands, node.result):
            found.setdefault(one.name, node.origin)
    for name in (*(value.name for value in graph.inputs), *graph.output_names):
        found.setdefault(name, ())
    kinds: dict[str, Callable[[str], bool]] = {
        "has a NUL character": lambda name: "\0" in name,
        f"has over {_LONGEST_NAME} letters": lambda name: len(name) > _LONGEST_NAME,
        "has half of a surrogate pair": lambda name: _SURROGATE.search(name) is not None,
    }
    for what, has in kinds.items():
        if names := list(filter(has, found)):
            count = f" ({len(names)} names)" if len(names) > 1 else ""
            nodes = tuple(dict.fromkeys(chain.from_iterable(map(found.__getitem__, names))))
            yield Diagnostic(f"the name {f'{names[0]!r:.80}'} {what}{count}", nodes, _RENAME)


def _attributes(graph: Graph) -> Iterator[Diagnostic]:
    """What attributes of our operations cannot be; those of a user have types of their own."""
    for node in graph.nodes:
        for field in fields(node.op) if is_ours(node.op) else ():
            value = getattr(node.op, field.name)
            if not fits(value, attribute_types(type(node.op))[field.name]):
                message = f"{node.op.mnemonic}: {field.name} cannot be {value!r:.80}"
                yield Diagnostic(message, node.origin)


def _constants(graph: Graph) -> Iterator[Diagnostic]:
    for node in graph.nodes:
        for operand in node.operands:
            if isinstance(operand, Constant):
                yield from _constant(operand, node)


def _constant(constant: Constant, node: Node) -> Iterator[Diagnostic]:
    kind = constant.data.dtype
    if kind.kind not in "biuf" or not kind.isnative:
        message = f"#{constant.name} is an array of {kind.str}, which no operation reads"
        yield Diagnostic(message, node.origin, "make it one of np.float32, or of np.int32")
    elif not np.isfinite(constant.data).all():
        message = f"#{constant.name} holds NaN or infinite numbers"
        help_ = "repair the weights in the model, then compile again"
        yield Diagnostic(message, node.origin, help_)
