"""Sums of synaptic inputs, written once for all populations that differ in their bias alone."""

from __future__ import annotations

from collections import Counter

import numpy as np

from qcompiler.backends.reference.kernels.exact_arithmetic import is_per_channel, per_channel
from qcompiler.backends.reference.kernels.families import SumKey, sum_key
from qcompiler.backends.reference.kernels.population_kernels import Sum, write_sum
from qcompiler.ir import Graph
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay
from qcompiler.ir.spiking.integer_network import layers


class SharedSums:
    """The sums of one ONNX model."""

    def __init__(self, writer: OnnxWriter, graph: Graph) -> None:
        self.writer = writer
        self._sharing = Counter(map(sum_key, layers(graph)))
        self._written: dict[SumKey, str] = {}

    def is_shared(self, one: Sum) -> bool:
        """Whether populations beside those of the ladder have this sum."""
        return self._sharing[sum_key(one.ladder.base)] > len(one.ladder.rungs)

    def write(self, one: Sum) -> str:
        """V + 1/2 in integers."""
        layer, parts = one.ladder.base, one.parts
        if self.is_shared(one):
            key = sum_key(layer)
            if key not in self._written:
                self._written[key] = write_sum(self.writer, parts, None)
            return self._with_bias(self._written[key], layer.bias)
        flat = not isinstance(parts[0].op, Relay) and is_per_channel(layer, layer.bias)
        bias = per_channel(layer, layer.bias) + 0.5 if flat else None
        total = write_sum(self.writer, parts, bias)
        return total if flat else self._with_bias(total, layer.bias)

    def _with_bias(self, total: str, bias: Array) -> str:
        half_up = self.writer.constant(np.asarray(bias + 0.5, np.float32))
        return self.writer.add("Add", total, half_up)
