"""What the unrolling of loops needs of the interpreter of a model."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import Any, Protocol

from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.scope import AbstractValue, Scope

from .model_graph import Entry
from .node_report import NodeReport


class InterpreterState(Protocol):
    """The state of an interpreter, and how it imports a node; `ModelInterpreter` implements it."""

    model: Model
    scope: Scope
    items: ChainMap[
        str, AbstractValue
    ]  # by ONNX name; those of a subgraph stand before the outer ones
    suffix: str  # tells the values of the steps of a loop apart
    used: set[str]
    report: NodeReport
    opset: int

    def visit(self, entry: Entry) -> list[AbstractValue]:
        """Import one node."""

    def derived(
        self,
        entry: Entry,
        op_type: str,
        inputs: Sequence[AbstractValue],
        name: str,
        **attributes: Any,
    ) -> AbstractValue:
        """The result of a view that a node stands for."""
