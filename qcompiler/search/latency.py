"""Predicts the latency of a schedule without compiling it: longest paths over spike windows."""

from __future__ import annotations

from collections.abc import Sequence

from qcompiler.ir import Graph
from qcompiler.ir.ann import Function, MaxPool, Multiply
from qcompiler.passes.quantization.levels import coded_inputs, spiking_values


class LatencyModel:
    """The values of a tensor-level graph that will be spikes, and which follows which.

    Delays that a target limits are left out: branches may take longer than this model says.
    """

    def __init__(self, graph: Graph) -> None:
        self.values = spiking_values(graph)
        index = {value.name: at for at, value in enumerate(self.values)}
        # a fitted function is a row of clips and their sum, one window behind the other
        producers = [graph.producer(value) for value in self.values]
        self.repeats = tuple(
            2 if node and isinstance(node.op, Function | Multiply) else 1 for node in producers
        )
        self._before: list[list[tuple[int, int]]] = [[] for _ in self.values]
        reached = {value.name: {index[value.name]: 0} for value in coded_inputs(graph)}
        for node in graph.nodes:
            hops = int(isinstance(node.op, MaxPool))
            found: dict[int, int] = {}
            for operand in node.operands:
                for source, steps in reached.get(operand.name, {}).items():
                    found[source] = max(found.get(source, 0), steps + hops)
            if (at := index.get(node.result.name)) is not None:
                self._before[at] = sorted(found.items())
                found = {at: 0}
            reached[node.result.name] = found
        self._last = reached[graph.outputs[0].name]

    def latency(self, levels: Sequence[int]) -> int:
        """The step of the last output spike."""
        return self._ends(levels)[1]

    def slack(self, levels: Sequence[int]) -> list[int]:
        """Levels that each value could have more without a later last spike."""
        ends, last = self._ends(levels)
        latest = [last] * len(ends)
        for source, steps in self._last.items():
            latest[source] = last - steps
        for at in reversed(range(len(ends))):
            begin = latest[at] - self._duration(levels, at)
            for source, steps in self._before[at]:
                latest[source] = min(latest[source], begin - steps)
        return [
            (bound - end) // repeats
            for bound, end, repeats in zip(latest, ends, self.repeats, strict=True)
        ]

    def _duration(self, levels: Sequence[int], at: int) -> int:
        """Steps from the last spike of a population's sources to its own."""
        return levels[at] * self.repeats[at]

    def _ends(self, levels: Sequence[int]) -> tuple[list[int], int]:
        """Step of the last spike of every value, and of the output."""
        ends: list[int] = []
        for at, before in enumerate(self._before):
            arrival = max((ends[source] + steps for source, steps in before), default=-1)
            ends.append(arrival + self._duration(levels, at))
        return ends, max(ends[source] + steps for source, steps in self._last.items())
