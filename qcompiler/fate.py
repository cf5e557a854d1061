"""What becomes of the nodes of a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fate:
    """What becomes of a node: compiled, constant, removed, host or refused, and why.

    Inputs, outputs and preprocessing that are refused have a fate as well; their ``op_type`` is
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
