"""Choose the code in which inputs and populations send their levels.

The integer network stays the same: codes differ in spikes, steps between frames and energy. See
`ir.spiking.codes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant, Node, Spikes, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, Neuron
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.coding import Rescaling, digit_of, encode
from qcompiler.ir.spiking.invariants import SCHEDULED, SPIKING
from qcompiler.ir.types import Coding
from qcompiler.passes.calibration.data import check, sample
from qcompiler.passes.quantization.membrane_limits import LEAST_MARGIN
from qcompiler.passes.scheduling.silent_inputs import can_be_silent

from .base import HIDDEN, Pass, check_fan_in

_CODES = ("auto", *CODES)
_IMAGES = 256  # more change little


@dataclass(frozen=True)
class ChooseCodes(Pass):
    """Let inputs and neurons send their levels in the code ``code``.

    ``one-spike`` is one spike a value. ``burst`` is as many spikes as the level, none for zeros: it
    saves energy where windows are short. All populations share one code, as neurons that read
    bursts forget their currents and others keep them.

    ``auto`` is one-spike, but zeros of an input are silent if less than half of its digits in
    ``calibration`` are not zero: these send a marker besides. Markers count as inputs: a reader
    takes at most ``fan_in`` inputs, and ``input`` in one step (0: no limit).
    """

    name: ClassVar[str] = "choose-codes"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    code: str = "auto"
    fan_in: int = 0
    input: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_fan_in(self.fan_in)
        if self.input < 0:
            raise ValueError(f"input must be at least 0, not {self.input}")
        if self.code not in _CODES:
            raise ValueError(f"code must be one of {', '.join(_CODES)}, not {self.code}")

    def __call__(self, graph: Graph) -> Graph:
        """Write codes into spikes."""
        for coding in CODES:
            if coding == self.code != "one-spike":
                return _recoded(graph, {node.result.name: coding for node in _senders(graph)})
        if self.code == "auto" and self.calibration is not None:
            check(graph, self.calibration)
            for name in list(self._mostly_zeros(graph, self.calibration)):
                tried = _recoded(graph, {name: "silent"})
                if can_be_silent(tried, name, self.fan_in, self.input):
                    graph = tried
        return graph

    def _mostly_zeros(self, graph: Graph, calibration: tuple[Array, ...]) -> Iterator[str]:
        """The encoders less than half of whose digits are not 0."""
        images = sample(calibration, min(len(calibration[0]), _IMAGES))
        data = {value.name: x for value, x in zip(graph.inputs, images, strict=True)}
        for node in graph.nodes:
            if isinstance(node.op, Encode):
                levels = encode(node.op.code, data[node.operands[0].name], Rescaling.of(node))
                if 2 * np.count_nonzero(digit_of(node.op, levels)) < levels.size:
                    yield node.result.name


def _senders(graph: Graph) -> Iterator[Node]:
    return (node for node in graph.nodes if isinstance(node.op, Encode | Neuron))


def _recoded(graph: Graph, codings: dict[str, Coding]) -> Graph:
    """The graph with encoders and neurons of these names in other codes, and what follows them."""
    values: dict[str, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        op, type_, name = node.op, node.result.type, node.result.name
        operands = tuple(
            values.get(v.name, v) if isinstance(v, Value) else v for v in node.operands
        )
        if isinstance(op, Encode | Neuron) and name in codings:
            op = replace(op, coding=codings[name])
            if isinstance(op, Neuron) and op.images:  # of bounds of the input of one step
                op = replace(op, margin=min(op.margin, LEAST_MARGIN))
            assert isinstance(type_, Spikes)
            type_ = replace(type_, coding=codings[name])
        elif isinstance(type_, Spikes) and operands and isinstance(operands[0].type, Spikes):
            type_ = replace(type_, coding=operands[0].type.coding)  # of a view or a gate
        values[name] = replace(node.result, type=type_)
        nodes.append(replace(node, op=op, operands=operands, result=values[name]))
    return replace(graph, nodes=tuple(nodes))
