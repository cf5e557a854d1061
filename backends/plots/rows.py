"""The rows of pictures: populations in order, or runs of them folded into one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qcompiler.backends.population_report import PopulationReport
from qcompiler.backends.report import Report
from qcompiler.ir import Graph
from qcompiler.ir.snn import First, Population
from qcompiler.ir.spiking.integer_network import layer_of, spiking_nodes
from qcompiler.ir.spiking.senders import sender

from .canvas import shown

FOLDED = 24  # rows of a folded picture


@dataclass(frozen=True)
class Row:
    """One or several populations; steps count from the start of the frame.

    Input arrives from ``opens`` on, spikes leave from ``first`` to ``last``.
    """

    members: tuple[PopulationReport, ...]
    opens: int
    first: int
    last: int

    @property
    def label(self) -> str:
        """What stands beside the row."""
        first, count = shown(self.members[0].name), len(self.members)
        return first if count == 1 else f"{shown(self.members[0].name, 20)} +{count - 1}"

    @property
    def kind(self) -> str:
        """That of its populations; where they differ, integrate."""
        kinds = {member.kind for member in self.members}
        return kinds.pop() if len(kinds) == 1 else "integrate"

    @property
    def neurons(self) -> int:
        return sum(member.neurons for member in self.members)

    @property
    def synapses(self) -> int:
        return sum(member.synapses for member in self.members)


@dataclass(frozen=True)
class Network:
    """Rows from top to bottom, and links ``(source, target)`` between them with delays."""

    rows: tuple[Row, ...]
    links: dict[tuple[int, int], int]

    @staticmethod
    def of(graph: Graph, report: Report) -> Network:
        """A row for each population."""
        nodes = spiking_nodes(graph)
        numbers = {node.result.name: number for number, node in enumerate(nodes)}
        rows, links = [], {}
        for number, (node, found) in enumerate(zip(nodes, report.populations, strict=True)):
            opens, sources = found.first_step, []
            if isinstance(node.op, Population):
                opens = min(node.op.window[0], opens)
                sources = [synapse.operands[0] for synapse in layer_of(graph, node).synapses]
            elif isinstance(node.op, First):
                sources = list(node.operands[:1])
            for source in sources:
                name = sender(graph, source).result.name
                links[numbers[name], number] = found.delays.get(name, 0)
            rows.append(Row((found,), opens, found.first_step, found.last_step))
        return Network(tuple(rows), links)

    def folded(self, most: int = FOLDED) -> Network:
        """At most this many rows, which begin where few links cross."""
        if len(self.rows) <= most:
            return self
        alike = self._grouped(self._starts_of_siblings())
        if len(alike.rows) <= most:
            return alike
        return alike._grouped(alike._starts(most))

    def _starts_of_siblings(self) -> list[int]:
        """The first row of each run of rows with the same steps and senders, such as slices."""
        senders: dict[int, set[int]] = {number: set() for number in range(len(self.rows))}
        for source, target in self.links:
            senders[target].add(source)
        keys = [
            (row.opens, row.first, row.last, senders[n]) if senders[n] else n
            for n, row in enumerate(self.rows)
        ]
        return [n for n, key in enumerate(keys) if n == 0 or key != keys[n - 1]]

    def _grouped(self, starts: Sequence[int]) -> Network:
        """One row for each group, given their first rows."""
        ends = [*starts[1:], len(self.rows)]
        group = {
            n: g for g, (a, b) in enumerate(zip(starts, ends, strict=True)) for n in range(a, b)
        }
        links: dict[tuple[int, int], int] = {}
        for (source, target), delay in self.links.items():
            pair = group[source], group[target]
            if pair[0] != pair[1]:
                links[pair] = max(delay, links.get(pair, 0))
        rows = (_merged(self.rows[a:b]) for a, b in zip(starts, ends, strict=True))
        return Network(tuple(rows), links)

    def _starts(self, most: int) -> list[int]:
        """The first population of each group: near even spacing, where the fewest links cross."""
        count = len(self.rows)
        crossing = [0] * (count + 1)
        for source, target in self.links:
            for number in range(source + 1, target):  # beyond the link from each to the next
                crossing[number] += 1
        step, starts = count / most, [0]
        for group in range(1, most):
            low = max(starts[-1] + 1, round(group * step - step / 2))
            high = max(low + 1, min(count - (most - group) + 1, round(group * step + step / 2)))
            starts.append(
                min(range(low, high), key=lambda at: (crossing[at], abs(at - group * step)))
            )
        return starts


def _merged(rows: Sequence[Row]) -> Row:
    members = tuple(member for row in rows for member in row.members)
    return Row(
        members,
        min(row.opens for row in rows),
        min(row.first for row in rows),
        max(row.last for row in rows),
    )
