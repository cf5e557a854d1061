"""Predicts the latency of a schedule without compiling it: longest paths over spike windows."""

from __future__ import annotations

from collections.abc import Sequence

from qcompiler.ir import Graph
from qcompiler.ir.ann import Function, MaxPool, Multiply
from qcompiler.ir.types import size
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import coded_inputs, spiking_values
from qcompiler.passes.quantization.output_pieces import most_digits, steps_of_pieces

from .sensitivity import MOST


class LatencyModel:
    """The values of a tensor-level graph that will be spikes, and which follows which.

    Delays that a target limits are left out: branches may take longer than this model says. With
    ``pieces`` outputs are split where their windows are the longest.
    """

    def __init__(self, graph: Graph, pieces: bool = False) -> None:
        self.values = spiking_values(graph)
        self.split = [pieces and is_network_output(graph, value) for value in self.values]
        neurons = sum(size(value.type) for value in self.values)
        self._digits = [most_digits(size(value.type), neurons) for value in self.values]
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

    def depths(self) -> list[int]:
        """How many values are in front of each, on the longest path to it."""
        found: list[int] = []
        for before in self._before:
            found.append(max((found[source] + 1 for source, _ in before), default=0))
        return found

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
            self._more(levels, at, bound - end)
            for at, (bound, end) in enumerate(zip(latest, ends, strict=True))
        ]

    def _more(self, levels: Sequence[int], at: int, spare: int) -> int:
        """Levels that a value could have more, given the steps that it could end later."""
        if not self.split[at]:
            return spare // self.repeats[at]
        within, longest = self._duration(levels, at) + spare, self._longest(levels)
        most, more = self._digits[at], levels[at] + 1
        while more <= MOST and steps_of_pieces(more, longest, most) <= within:
            more += 1
        return more - 1 - levels[at]

    def _duration(self, levels: Sequence[int], at: int) -> int:
        """Steps from the last spike of a population's sources to its own."""
        if self.split[at]:
            return steps_of_pieces(levels[at], self._longest(levels), self._digits[at])
        return levels[at] * self.repeats[at]

    def _longest(self, levels: Sequence[int]) -> int:
        """Most levels of what is not split; 2 at least."""
        return max((n for n, split in zip(levels, self.split, strict=True) if not split), default=2)

    def _ends(self, levels: Sequence[int]) -> tuple[list[int], int]:
        """Step of the last spike of every value, and of the output."""
        ends: list[int] = []
        for at, before in enumerate(self._before):
            arrival = max((ends[source] + steps for source, steps in before), default=-1)
            ends.append(arrival + self._duration(levels, at))
        return ends, max(ends[source] + steps for source, steps in self._last.items())
