"""Rewrites the graph when several replicas replace one value, and adapts all its readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qcompiler.ir import Graph, Node, Value, drop_dead, rewrite
from qcompiler.ir.ann import Add, MaxPool
from qcompiler.ir.view import View
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.quantization.fusion_groups import FusionGroup


class ReplicaRewriter:
    """Replaces the result of a fusion group by several replicas.

    ``values`` maps the name of each replaced value to its replicas. This covers the group's result
    and the results of pools and views that read it. Subclasses define the nodes that compute the
    replicas (`producers`) and how pools and views (`like`), sums (`rewrite_add`) and linear layers
    (`rewrite_linear`) read them.
    """

    def __init__(self, graph: Graph, group: FusionGroup) -> None:
        self.graph, self.group = graph, group
        self.values: dict[str, tuple[Value, ...]] = {}

    def rewritten(self) -> Graph:
        """The graph after the replacement."""
        return rewrite(drop_dead(replace(self.graph, nodes=tuple(self._nodes()))), *SUMS)

    def _nodes(self) -> Iterator[Node]:
        for node in self.graph.nodes:
            if node is self.group.clip:
                made = list(self.producers(node))
                yield from made
            elif any(operand.name in self.values for operand in node.operands):
                yield from self._reader(node)
            else:
                yield node

    def _reader(self, node: Node) -> Iterator[Node]:
        name = node.result.name
        if isinstance(node.op, Add):
            yield from self.rewrite_add(node)
        elif isinstance(node.op, MaxPool | View):
            others, sources = node.operands[1:], self.values[node.operands[0].name]
            made = [
                replace(node, operands=(source, *others), result=self.like(node, source, index))
                for index, source in enumerate(sources)
            ]
            self.values[name] = tuple(copy.result for copy in made)
            yield from made
        else:
            yield from self.rewrite_linear(node, self.values[node.operands[0].name])

    def producers(self, clip: Node) -> Iterator[Node]:
        """The nodes that compute the replicas in place of the group's clip.

        They also enter the replicas in ``values``.
        """
        raise NotImplementedError

    def like(self, node: Node, source: Value, index: int) -> Value:
        """A fresh value for the result of a pool or view that reads one replica."""
        raise NotImplementedError

    def rewrite_add(self, node: Node) -> Iterator[Node]:
        """The nodes that replace a sum with replicas among its operands."""
        raise NotImplementedError

    def rewrite_linear(self, node: Node, sources: Sequence[Value]) -> Iterator[Node]:
        """The nodes that replace a linear layer whose input is now the replicas ``sources``."""
        raise NotImplementedError
