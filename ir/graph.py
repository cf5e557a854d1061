"""The graph: an immutable list of nodes in topological order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from mmap import mmap
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .ops import Op
from .types import Range, Tensor, Type


@dataclass(frozen=True)
class Value:
    """The result of a node, or an input of the graph."""

    name: str
    type: Type

    def ranged(self, bounds: Range | None) -> Value:
        """The same value, with the range that its code must cover."""
        assert isinstance(self.type, Tensor)
        return replace(self, type=replace(self.type, range=bounds))


class Constant:
    """A read-only array with a name; equal to another by name and content.

    An array that can be written is copied, so that the content stays as it is.
    """

    name: str
    data: NDArray[Any]

    def __init__(self, name: str, data: NDArray[Any]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "data", _frozen(np.asarray(data)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Constant is read-only: make a new one with another {name}")

    @property
    def type(self) -> Tensor:
        """Shape and kind of number, such as ``f32`` or ``i8``."""
        kind = self.data.dtype
        return Tensor(self.data.shape, f"{kind.kind}{kind.itemsize * 8}")

    @cached_property
    def digest(self) -> str:
        """Hash of the content, first 16 hexadecimal digits of SHA-256."""
        head = f"{self.data.dtype.str}{self.data.shape}".encode()
        found = hashlib.sha256(head + b"\0")
        found.update(np.ascontiguousarray(self.data).reshape(-1).view(np.uint8).data)
        return found.hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        return self is other or (self.name == other.name and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash((self.name, self.data.shape))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.data)  # a copy is read-only, too

    def __repr__(self) -> str:
        return f"Constant({self.name!r}, {self.type})"


def _frozen(data: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy if someone can write to it, or to what it is a view of."""
    owner: Any = data
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    if owner is not None and not isinstance(owner, bytes | mmap):  # numpy maps files that it reads
        data = data.copy("K")  # transposed as it was: the last bits of products depend on it
        data.flags.writeable = False
    return data.view()  # of which nobody can lift the flag


Operand: TypeAlias = Value | Constant
Found = TypeVar("Found")


@dataclass(frozen=True)
class Node:
    """An operation on operands; ``origin`` names the ONNX nodes that it came from."""

    op: Op
    operands: tuple[Operand, ...]
    result: Value
    origin: tuple[str, ...] = ()

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The constants among the operands."""
        return tuple(operand.data for operand in self.operands if isinstance(operand, Constant))


def origins(*nodes: Node) -> tuple[str, ...]:
    """Names of the ONNX nodes behind some nodes, each once."""
    return tuple(dict.fromkeys(name for node in nodes for name in node.origin))


@dataclass(frozen=True)
class Graph:
    """A network: inputs, nodes in order, and what it returns under which names.

    ``outputs`` are values; ``output_names`` are the names that the ONNX model gives them.
    """

    name: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.output_names:
            object.__setattr__(self, "output_names", tuple(v.name for v in self.outputs))

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what was found in it, whose keys are functions that may have no name."""
        return type(self), (self.name, self.inputs, self.nodes, self.outputs, self.output_names)

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {node.result.name: node for node in self.nodes}

    @cached_property
    def _users(self) -> dict[str, tuple[Node, ...]]:
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(o.name for o in node.operands if isinstance(o, Value)):
                users.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in users.items()}

    @cached_property
    def _given(self) -> frozenset[str]:
        return frozenset(value.name for value in self.inputs)

    @cached_property
    def _returned(self) -> frozenset[str]:
        return frozenset(value.name for value in self.outputs)

    @cached_property
    def _found(self) -> dict[Any, Any]:
        return {}

    def known(self, find: Callable[[Graph], Found]) -> Found:
        """What a function finds in the graph, which does not change: it is called once."""
        if find not in self._found:
            self._found[find] = find(self)
        found: Found = self._found[find]
        return found

    def remember(self, find: Callable[[Graph], Found | None], found: Found) -> None:
        """Have `known` answer with what the maker of this graph, and no equal one, knows of it."""
        self._found[find] = found

    def producer(self, operand: Operand) -> Node | None:
        """The node whose result this is; None for a graph input or a constant."""
        return self._producers.get(operand.name) if isinstance(operand, Value) else None

    def users(self, value: Value) -> tuple[Node, ...]:
        """The nodes that read this value, in order."""
        return self._users.get(value.name, ())

    def is_output(self, value: Value) -> bool:
        """Whether the graph returns this value."""
        return value.name in self._returned

    def has(self, name: str) -> bool:
        """Whether a value has this name."""
        return name in self._producers or name in self._given

    def fresh(self, name: str) -> str:
        """A name near this one that no value of the graph has."""
        found, count = name, 1
        while self.has(found):
            count += 1
            found = f"{name}.{count}"
        return found

    def only_user(self, value: Value) -> Node | None:
        """The one node that reads this value, if nothing else does and it is no output."""
        users = self.users(value)
        return users[0] if len(users) == 1 and not self.is_output(value) else None

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Every constant once, in order of first use."""
        found: dict[str, Constant] = {}
        for node in self.nodes:
            for operand in node.operands:
                if isinstance(operand, Constant):
                    found.setdefault(operand.name, operand)
        return tuple(found.values())
