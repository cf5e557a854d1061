"""What the unrolling of loops needs of the walk over a model."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import Any, Protocol

from qcompiler.frontend.model.node_context import Item, Scope
from qcompiler.frontend.model.onnx_file import Model

from .model_graph import Entry
from .node_report import NodeReport


class Walker(Protocol):
    """The state of a walk, and how it imports one more node. `Walk` is the one there is."""

    model: Model
    scope: Scope
    items: ChainMap[str, Item]  # by ONNX name; those of a subgraph stand before the outer ones
    suffix: str  # tells the values of the steps of a loop apart
    used: set[str]
    report: NodeReport
    opset: int

    def visit(self, entry: Entry) -> list[Item]:
        """Import one node."""

    def derived(
        self, entry: Entry, op_type: str, inputs: Sequence[Item], name: str, **attributes: Any
    ) -> Item:
        """The result of a view that a node stands for."""
