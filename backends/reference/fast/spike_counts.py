"""Results of the ONNX model that count: spikes and levels of neurons, and saturated neurons."""

from __future__ import annotations

import numpy as np

from qcompiler.backends.reference.kernels.families import Rung
from qcompiler.ir import Graph
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_clip
from qcompiler.ir.spiking.decoded_outputs import lower_pieces


class SpikeCounts:
    """Names of these results, sums over the batch that are exact; none unless ``active``."""

    def __init__(self, writer: OnnxWriter, graph: Graph, active: bool) -> None:
        self.writer, self.active = writer, active
        self._lower = lower_pieces(graph)
        self.saturation: list[str] = []
        self.levels: list[str] = []

    def includes(self, rung: Rung) -> bool:
        """Whether the saturation of a population counts."""
        return self.active and rung.name not in self._lower

    def add_saturation(self, levels: str, top: str) -> None:
        """Count the neurons whose levels are beyond a constant, in the format of the levels."""
        saturated = self.writer.add("Cast", self.writer.add("Greater", levels, top), to=6)
        self.saturation.append(self.writer.add("ReduceSum", saturated, keepdims=0))

    def add_levels(self, real: str) -> None:
        """Sum what a population sends, in float32: levels above 0 of each neuron, and levels."""
        axis = self.writer.constant(np.zeros(1, np.int64))
        found = write_clip(self.writer, real, 0, 1), real
        self.levels += [self.writer.add("ReduceSum", x, axis, keepdims=0) for x in found]
