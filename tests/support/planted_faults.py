"""Faults to plant in a network while it is compiled, by passes that corrupt one layer, or later."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value
from qcompiler.ir.snn import Neuron
from qcompiler.passes import Pass, Pipeline
from tests.support.random_networks import REFERENCE

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ShrinkRange(Pass):
    """Leave a share of one value's range: the rest saturates."""

    name: ClassVar[str] = "cut-range"
    value: str = ""
    share: float = 0.2

    def __call__(self, graph: Graph) -> Graph:
        def cut(value: Value) -> Value:
            if value.name != self.value:
                return value
            assert isinstance(value.type, Tensor) and value.type.range
            low, high = value.type.range
            return value.ranged((self.share * low, self.share * high))

        def operand(given: Operand) -> Operand:
            return cut(given) if isinstance(given, Value) else given

        nodes = (
            replace(n, operands=tuple(map(operand, n.operands)), result=cut(n.result))
            for n in graph.nodes
        )
        outputs = tuple(map(cut, graph.outputs))
        return replace(
            graph, inputs=tuple(map(cut, graph.inputs)), nodes=tuple(nodes), outputs=outputs
        )


@dataclass(frozen=True)
class CorruptIntegers(Pass):
    """Corrupt the integers of one population; behind `quantize`.

    ``fault`` is "bias" (whole multiples of some levels), "weights" (few different ones) or "dead"
    (some channels without weights); ``size`` says how many.
    """

    name: ClassVar[str] = "spoil"
    population: str = ""
    fault: str = "bias"
    size: float = 4

    def __call__(self, graph: Graph) -> Graph:
        corrupted = graph.producer(Value(self.population, Tensor(())))
        assert corrupted is not None and isinstance(corrupted.op, Neuron)
        return replace(graph, nodes=tuple(self.node(node, corrupted) for node in graph.nodes))

    def node(self, node: Node, corrupted: Node) -> Node:
        if node is corrupted and self.fault == "bias":
            *currents, bias, slope = node.operands
            assert isinstance(bias, Constant) and isinstance(slope, Constant)
            unit = self.size * slope.data.astype(np.float64)
            offset = np.floor(slope.data / 2)  # what rounds to nearest is no part of the bias
            data = np.rint((bias.data - offset) / unit) * unit + offset
            return replace(node, operands=(*currents, self.constant(bias, data), slope))
        if self.fault != "bias" and node.result in corrupted.operands:
            source, weight = node.operands
            assert isinstance(weight, Constant)
            data = weight.data.astype(np.float64)
            if self.fault == "dead":
                data[: int(self.size)] = 0
            else:
                unit = np.abs(data).max() / self.size
                data = np.rint(data / unit) * unit
            return replace(node, operands=(source, self.constant(weight, data)))
        return node

    def constant(self, given: Constant, data: Array) -> Constant:
        return Constant(given.name, np.rint(data).astype(np.int32))


def pipeline(*planted: Pass, **options: Any) -> Pipeline:
    """The pipeline of the target reference with faults in it."""
    steps = list(Pipeline.parse(REFERENCE, defaults=options).passes)
    for fault in planted:
        behind = "normalize" if isinstance(fault, ShrinkRange) else "quantize"
        steps.insert([step.name for step in steps].index(behind) + 1, fault)
    return Pipeline(tuple(steps))


def corrupt_text(program: Program, folder: Path, pattern: str, text: str) -> None:
    """Save a program, and replace the first match of a pattern in its text."""
    program.save(folder)
    path = folder / "network.qir"
    before = path.read_text()
    path.write_text(re.sub(pattern, text, before, count=1))
    assert path.read_text() != before
