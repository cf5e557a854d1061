"""Writes the levels of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.backends.reference.kernels.digit import Digit
from qcompiler.backends.reference.kernels.level_forms import LevelForms
from qcompiler.ir import Graph, Node, Spikes
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.coding import Rescaling, affine


class InputLevels:
    """The inputs of a graph; all digits of an input share its levels."""

    def __init__(self, writer: OnnxWriter, graph: Graph) -> None:
        self.writer = writer
        self.known: dict[tuple[str, Spikes], LevelForms] = {}
        self.tensors = {
            value.name: writer.input(writer.name("input"), value.type.shape)
            for value in graph.inputs
        }

    def levels(self, node: Node) -> LevelForms:
        """The levels, or the digit of them, that an encoder sends."""
        assert isinstance(node.op, Encode)
        key = node.operands[0].name, node.op.code
        if key not in self.known:
            self.known[key] = self._encoded(node, node.op)
        whole, op = self.known[key], node.op
        if op.digits == 1:
            return whole
        digit = Digit(whole, op.t_max, op.place)
        return LevelForms(self.writer, whole.shape, op.t_max - 1, digit=digit)

    def _encoded(self, node: Node, op: Encode) -> LevelForms:
        add, raw = self.writer.add, self.tensors[node.operands[0].name]
        rescaling = Rescaling.of(node)
        if rescaling is not None:
            raw = add("Sub", raw, self._number(rescaling.offset))
        factor, summand = map(self._number, affine(op.code, rescaling))
        moved = add("Add", add("Mul", raw, factor), summand)
        return LevelForms(self.writer, node.result.type.shape, op.code.top, raw=moved)

    def _number(self, value: Any) -> str:
        return self.writer.constant(np.asarray(value, np.float32))
