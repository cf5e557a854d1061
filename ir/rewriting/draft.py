"""A graph under rewriting, which knows which rules must look again after a change.

A rule that matched nowhere matches nowhere until an answer changes that the graph gave it. The
draft notes who asked what, and each change wakes those whose answers it may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum, auto

from qcompiler.ir.graph import Constant, Found, Graph, Node, Operand, Value

from .rewriting_order import Order, Place


class _Asked(Enum):
    """What a rule asks about a value, or, without a name, about the whole graph."""

    PRODUCER = auto()
    USERS = auto()
    ONLY_USER = auto()
    OUTPUT = auto()
    GRAPH = auto()


class Draft(Graph):
    """Answers like a graph while its nodes change.

    ``woken`` names the nodes to visit, or to visit again; ``entered`` those that are new.
    """

    def __init__(self, graph: Graph) -> None:
        for field in ("name", "inputs", "outputs", "output_names"):
            object.__setattr__(self, field, getattr(graph, field))
        self.order = Order(node.result.name for node in graph.nodes)
        self.woken: set[str] = set()
        self.entered: set[str] = set()
        self._asking = ""
        self._askers: dict[tuple[_Asked, str], set[str]] = {}
        self._made: dict[str, Node] = {}
        self._readers: dict[str, dict[str, None]] = {}
        self._ends = {value.name for value in graph.outputs}
        for node in graph.nodes:
            self._enter(node)
        self._drop(list(self._made))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as they are now."""
        self._note(_Asked.GRAPH, "")
        return tuple(self._made[name] for name in self.order)

    def graph(self) -> Graph:
        """The graph as it is now."""
        return Graph(self.name, self.inputs, self.nodes, self.outputs, self.output_names)

    def asking(self, place: Place) -> Node | None:
        """The node at a place, if it is still there; it is the one that asks from now on."""
        self._asking = place.name
        there = self.order.places.get(place.name) is place
        return self._made[place.name] if there else None

    def awake(self) -> list[Place]:
        """The places of the nodes to visit since the last call."""
        found = [self.order.places[name] for name in self.woken if name in self._made]
        self.woken.clear()
        return found

    def known(self, find: Callable[[Graph], Found]) -> Found:
        """What a function finds in the graph as it is now."""
        return find(self)

    def producer(self, operand: Operand) -> Node | None:
        """The node whose result this is; None for a graph input or a constant."""
        if not isinstance(operand, Value):
            return None
        self._note(_Asked.PRODUCER, operand.name)
        return self._made.get(operand.name)

    def users(self, value: Value) -> tuple[Node, ...]:
        """The nodes that read this value, in order."""
        self._note(_Asked.USERS, value.name)
        found = self._readers.get(value.name, {})
        places = sorted(self.order.places[name] for name in found)
        return tuple(self._made[place.name] for place in places)

    def is_output(self, value: Value) -> bool:
        """Whether the graph returns this value."""
        self._note(_Asked.OUTPUT, value.name)
        return value.name in self._ends

    def only_user(self, value: Value) -> Node | None:
        """The one node that reads this value, if nothing else does and it is no output."""
        self._note(_Asked.ONLY_USER, value.name)
        found = self._readers.get(value.name, {})
        alone = len(found) == 1 and value.name not in self._ends
        return self._made[next(iter(found))] if alone else None

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Every constant once, in order of first use."""
        return self.graph().constants

    def has(self, name: str) -> bool:
        """Whether a value has this name."""
        return name in self._made or name in self._given

    def _note(self, asked: _Asked, name: str) -> None:
        self._askers.setdefault((asked, name), set()).add(self._asking)

    def _wake(self, asked: _Asked, name: str) -> None:
        self.woken |= self._askers.pop((asked, name), set())

    def replace(self, node: Node, found: tuple[Node, ...] | Value) -> bool:
        """Put what a rule has found in place of a node; whether readers now read another value."""
        name = node.result.name
        new = () if isinstance(found, Value) else found
        operands = [*_read(node)]
        value = found if isinstance(found, Value) else found[-1].result
        if new:
            self._leave(node)
            self.order.replace(name, [made.result.name for made in new])
            for made in new:
                self._enter(made)
        self._wake(_Asked.GRAPH, "")
        if value != node.result:
            self._substitute(name, value)
        self._drop([*operands, name, *(made.result.name for made in new)])
        return value != node.result

    def _substitute(self, name: str, value: Value) -> None:
        for reader in tuple(self._readers.get(name, ())):
            old = self._made[reader]
            self._leave(old)
            operands = tuple(
                value if isinstance(o, Value) and o.name == name else o for o in old.operands
            )
            self._enter(replace(old, operands=operands))
        if name in self._ends:
            outputs = tuple(value if o.name == name else o for o in self.outputs)
            object.__setattr__(self, "outputs", outputs)
            self._ends.remove(name)
            self._ends.add(value.name)
            for changed in (name, value.name):
                self._wake(_Asked.OUTPUT, changed)
                self._wake(_Asked.ONLY_USER, changed)

    def _enter(self, node: Node) -> None:
        name = node.result.name
        self._made[name] = node
        self.woken.add(name)
        self.entered.add(name)
        self._wake(_Asked.PRODUCER, name)
        for operand in _read(node):
            self._readers.setdefault(operand, {})[name] = None
            self._readers_changed(operand)

    def _leave(self, node: Node) -> None:
        name = node.result.name
        del self._made[name]
        self._wake(_Asked.PRODUCER, name)
        for operand in _read(node):
            self._readers_changed(operand)
            self._readers[operand].pop(name)

    def _readers_changed(self, name: str) -> None:
        self._wake(_Asked.USERS, name)
        if len(self._readers[name]) <= 2:  # from two readers to one, or another one
            self._wake(_Asked.ONLY_USER, name)

    def _drop(self, names: list[str]) -> None:
        """Drop those of these nodes that nothing reads, and what only they read."""
        while names:
            name = names.pop()
            node = self._made.get(name)
            if node is None or self._readers.get(name) or name in self._ends:
                continue
            self._leave(node)
            self.order.remove(name)
            names.extend(_read(node))


def _read(node: Node) -> Iterable[str]:
    return dict.fromkeys(o.name for o in node.operands if isinstance(o, Value))
