"""Values that the host computes from decoded outputs, and the same in spikes for nodes inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qcompiler.frontend.importers.composites.softmax import in_spikes
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.scope import AbstractValue, Scope
from qcompiler.ir import Constant, Node, Value
from qcompiler.ir.ann import Affine, Concat, OnHost, Pad, Softmax
from qcompiler.ir.view import Pick, Reshape, Take, Transpose

from .model_graph import Entry

_MOVES = Reshape | Transpose | Take | Pick | Concat | Pad | Affine  # what may follow on the host


class HostValues:
    """Which node gave a value of the host, and what takes its place inside the network."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._entries: dict[str, Entry] = {}
        self._inside: dict[str, Value] = {}
        self.lowered: list[Entry] = []  # nodes whose results are computed in spikes as well

    def note(self, values: Iterable[Value | KnownArray], entry: Entry) -> None:
        """Remember that the host computes these values, by this node."""
        self._entries |= {value.name: entry for value in values}

    def sources(self, inputs: Sequence[AbstractValue]) -> list[Entry]:
        """What the host does on the way to these values."""
        names = [item.name for item in inputs if isinstance(item, Value)]
        return [self._entries[name] for name in names if name in self._entries]

    def in_spikes(self, inputs: Sequence[AbstractValue]) -> tuple[AbstractValue, ...] | None:
        """The same operands, none of them on the host; None if one cannot be computed in spikes."""
        found: list[AbstractValue] = []
        for item in inputs:
            inside = self._version(item) if isinstance(item, Value) else item
            if inside is None and item is not None:
                return None
            found.append(inside)
        return tuple(found)

    def _version(self, value: Value) -> Value | None:
        if value.name not in self._inside:
            made = self.scope.builder.producer(value)
            found = self._made(value, made) if made else value
            if found is None:
                return None
            self._inside[value.name] = found
            if value.name in self._entries:
                self.lowered.append(self._entries[value.name])
        return self._inside[value.name]

    def _made(self, value: Value, made: Node) -> Value | None:
        if not isinstance(made.op, _MOVES | Softmax):
            return value if value.name not in self._entries or self._is_layer(made) else None
        operands = self.in_spikes([o for o in made.operands if isinstance(o, Value)])
        if operands is None:
            return None
        name, moved = f"{value.name}.inside", iter(operands)
        if isinstance(made.op, Softmax):
            node = NodeContext(self.scope, made.origin[0], "Softmax", 0, operands, (name,), {})
            axis = made.op.axis % len(value.type.shape)
            return self._placed_as(value, in_spikes(node, node.activation(), axis, made.op.log))
        given = [next(moved) if isinstance(o, Value) else o for o in made.operands]
        if all(one is other for one, other in zip(given, made.operands, strict=True)):
            return value
        known = [operand for operand in given if isinstance(operand, Value | Constant)]
        found = self.scope.builder.add(made.op, *known, name=name, origin=made.origin)
        return self._placed_as(value, found)

    def _is_layer(self, made: Node) -> bool:
        """Whether the network itself computes this, as it does scores of a classifier."""
        given = [operand for operand in made.operands if isinstance(operand, Value)]
        return not isinstance(made.op, OnHost) and self.in_spikes(given) == (*given,)

    def _placed_as(self, value: Value, found: Value) -> Value:
        if value.name in self.scope.batch_axis:
            self.scope.batch_axis[found.name] = self.scope.batch_axis[value.name]
        return found
