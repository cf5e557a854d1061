"""Builds graphs node by node, with the types of their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .diagnostics import Diagnostic, InvalidGraph
from .given import check_node, check_type, several
from .graph import Constant, Graph, Node, Operand, Value
from .ops import Op
from .types import Range, Tensor, Type, size
from .view import Pick


class Names:
    """Gives each name once: one that is taken gets the first number that is free."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._counts: dict[str, int] = {}  # the last number of a name: those before are taken

    def unique(self, name: str) -> str:
        """A name near this one that was not there, and is taken from now on."""
        found, count = name, self._counts.get(name, 1)
        while found in self._taken:
            count += 1
            found = f"{name}.{count}"
        self._counts[name] = count
        self._taken.add(found)
        return found


class Builder:
    """Builds a graph node by node; each node's type is inferred as it is added."""

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        self._names = Names()
        self._producers: dict[str, Node] = {}

    def input(self, name: str, type_: Type) -> Value:
        """Declare a graph input; InvalidGraph for what is no type."""
        check_type(type_, name)
        value = Value(self.unique(name), type_)
        self.inputs.append(value)
        return value

    def unique(self, name: str) -> str:
        """A name near this one that no other value has, and from now on this one's."""
        return self._names.unique(name)

    def add(
        self,
        op: Op,
        *operands: Operand,
        name: str,
        origin: Sequence[str] = (),
        like: Type | None = None,
    ) -> Value:
        """Append a node and return its result.

        ``like`` gives the result the range of another type. Raises InvalidGraph, with the origin,
        if the operands do not fit the operation.
        """
        result = Value(self.unique(name), infer(op, operands, origin))
        if isinstance(like, Tensor) and isinstance(result.type, Tensor):
            result = result.ranged(like.range)
        self.nodes.append(Node(op, operands, result, tuple(origin)))
        self._producers[result.name] = self.nodes[-1]
        return result

    def with_levels(self, value: Value, bounds: Range, levels: int | None) -> Value:
        """The value that was added last, with a range, and levels if their number is known."""
        assert isinstance(value.type, Tensor) and self.nodes[-1].result is value
        found = Value(value.name, replace(value.type, range=bounds, t_max=levels))
        self.nodes[-1] = self._producers[value.name] = replace(self.nodes[-1], result=found)
        return found

    def producer(self, value: Value) -> Node | None:
        """The node that gives a value; None for an input."""
        return self._producers.get(value.name)

    def build(self, outputs: Iterable[Value], names: Iterable[str] = ()) -> Graph:
        """The graph that returns these values; InvalidGraph for anything else."""
        found = several(outputs, Value, "outputs"), several(names, str, "names of outputs")
        return Graph(self.name, tuple(self.inputs), tuple(self.nodes), *found)


def infer(op: Op, operands: tuple[Operand, ...], origin: Sequence[str] = ()) -> Type:
    """Type of an operation's result; InvalidGraph, with the origin, if the operands do not fit."""
    check_node(op, operands)
    try:
        found = op.infer(*(operand.type for operand in operands))
        if isinstance(op, Pick):
            _check_places(*operands)
        return found
    except ValueError as error:
        raise InvalidGraph(Diagnostic(f"{op.mnemonic} {error}", tuple(origin))) from error


def _check_places(value: Operand, places: Operand) -> None:
    if not isinstance(places, Constant) or not places.data.size:
        raise ValueError("takes the indices as a constant")
    if places.data.min() < 0 or places.data.max() >= size(value.type):
        raise ValueError(f"has indices beyond the elements of {value.type.shape}")
