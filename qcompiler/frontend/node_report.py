"""What becomes of the nodes of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from qcompiler.ir import Diagnostic

from .model_graph import Entry

NOT_CHECKED = "not fully checked: its input comes from a refused node"
_PRECEDENCE = ("removed", "constant", "compiled", "host", "refused")


@dataclass(frozen=True)
class NodeOutcome:
    """What becomes of a node: compiled, constant, removed, host or refused, and why.

    Inputs, outputs and preprocessing that are refused have an outcome as well; their ``op_type`` is
    in parentheses.
    """

    name: str
    op_type: str
    kind: str
    reason: str | None = None
    help: str | None = None

    @property
    def is_node(self) -> bool:
        """Whether this is about a node, not the model itself."""
        return not self.op_type.startswith("(")


class NodeReport:
    """The outcomes of a model's nodes, as they are found."""

    def __init__(self) -> None:
        self._about: list[NodeOutcome] = []  # what is refused of the model itself
        self._nodes: dict[tuple[int, ...], NodeOutcome] = {}
        self._refused: set[tuple[int, ...]] = set()
        self.assumed: list[Diagnostic] = []  # what is right only for some models

    def __iter__(self) -> Iterator[NodeOutcome]:
        """What is refused of the model itself, then the outcome of every node in its order."""
        yield from self._about
        yield from (self._nodes[key] for key in sorted(self._nodes))

    def refuse(self, name: str, what: str, reason: str, help_: str | None = None) -> None:
        """Refuse something of the model itself."""
        self._about.append(NodeOutcome(name, what, "refused", reason, help_))

    def assume(self, what: Diagnostic) -> None:
        """Remember what the import takes for granted."""
        self.assumed.append(what)

    def note(
        self, entry: Entry, kind: str, reason: str | None = None, help_: str | None = None
    ) -> None:
        """What becomes of a node; in the steps of a loop what weighs most counts."""
        outcome = NodeOutcome(entry.name, entry.op_type, kind, reason, help_)
        held = self._nodes.get(entry.key, outcome)
        self._nodes[entry.key] = max(held, outcome, key=lambda one: _PRECEDENCE.index(one.kind))
        if kind == "refused":
            self._refused.add(entry.key)

    def replace(self, entry: Entry, kind: str) -> None:
        """What becomes of a node after all, unless it is refused."""
        if entry.key not in self._refused:
            self._nodes[entry.key] = NodeOutcome(entry.name, entry.op_type, kind)

    def refuse_named(self, name: str, reason: str, help_: str) -> None:
        """Refuse the nodes of this name after all."""
        for key, held in self._nodes.items():
            if held.name == name:
                self._nodes[key] = NodeOutcome(name, held.op_type, "refused", reason, help_)

    def note_host(self, names: Collection[str], reason: str) -> None:
        """Note that the host does what nodes of these names were compiled to."""
        for key, held in self._nodes.items():
            if held.kind == "compiled" and held.name in names:
                self._nodes[key] = replace(held, kind="host", reason=reason)

    @property
    def refusals(self) -> list[NodeOutcome]:
        """What is refused."""
        return [outcome for outcome in self if outcome.kind == "refused"]

    def refused_in(self, entry: Entry) -> bool:
        """Whether something inside a node is refused."""
        length = len(entry.key)
        return any(key[:length] == entry.key for key in self._refused)
