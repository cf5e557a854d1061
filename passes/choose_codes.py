"""Choose the code in which populations send their levels.

The integer network stays the same: codes differ in spikes, steps between frames and energy. See
`ir.spiking.codes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qcompiler.ir import Graph, Invariant, Node, Spikes, Value
from qcompiler.ir.snn import Encode, Neuron
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.invariants import SCHEDULED, SPIKING
from qcompiler.ir.types import Coding
from qcompiler.passes.quantization.membrane_limits import LEAST_MARGIN

from .base import Pass


@dataclass(frozen=True)
class ChooseCodes(Pass):
    """Let all encoders and neurons send their levels in the code ``code``.

    ``one-spike`` is one spike a value. ``burst`` is as many spikes as the level, none for zeros: it
    saves energy where windows are short. All populations share one code, as neurons that read
    bursts forget their currents and others keep them.
    """

    name: ClassVar[str] = "choose-codes"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    code: str = "one-spike"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"code must be one of {', '.join(CODES)}, not {self.code}")

    def __call__(self, graph: Graph) -> Graph:
        """Write the code into all spikes."""
        coding = CODES[self.code].name  # type: ignore[index]
        values: dict[str, Value] = {}
        nodes = tuple(_recoded(node, coding, values) for node in graph.nodes)
        return replace(graph, nodes=nodes)


def _recoded(node: Node, coding: Coding, values: dict[str, Value]) -> Node:
    """A node with its operands and result in this code; ``values`` gathers results by name."""
    op, type_ = node.op, node.result.type
    if isinstance(op, Encode | Neuron):
        op = replace(op, coding=coding)
    if isinstance(op, Neuron) and op.images and coding == "burst":
        op = replace(op, margin=min(op.margin, LEAST_MARGIN))  # of the input of one step
    if isinstance(type_, Spikes):
        type_ = replace(type_, coding=coding)
    result = replace(node.result, type=type_)
    values[result.name] = result
    operands = tuple(
        values.get(operand.name, operand) if isinstance(operand, Value) else operand
        for operand in node.operands
    )
    return replace(node, op=op, operands=operands, result=result)
