"""A value replaced by several, and with it all that reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qcompiler.ir import Graph, Node, Value, drop_dead, rewrite
from qcompiler.ir.ann import Add, MaxPool
from qcompiler.ir.view import View
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.quantization.fusion_groups import Group


class Several:
    """The value of a group as several; ``values`` are these, and what pools make of each.

    Subclasses say what they are (`makers`), and how a pool or view, a sum, and a linear layer read
    them.
    """

    def __init__(self, graph: Graph, group: Group) -> None:
        self.graph, self.group = graph, group
        self.values: dict[str, tuple[Value, ...]] = {}

    def done(self) -> Graph:
        """The graph with them in it."""
        return rewrite(drop_dead(replace(self.graph, nodes=tuple(self._nodes()))), *SUMS)

    def _nodes(self) -> Iterator[Node]:
        for node in self.graph.nodes:
            if node is self.group.clip:
                made = list(self.makers(node))
                yield from made
            elif any(operand.name in self.values for operand in node.operands):
                yield from self._reader(node)
            else:
                yield node

    def _reader(self, node: Node) -> Iterator[Node]:
        name = node.result.name
        if isinstance(node.op, Add):
            yield from self.added(node)
        elif isinstance(node.op, MaxPool | View):
            others, sources = node.operands[1:], self.values[node.operands[0].name]
            made = [
                replace(node, operands=(source, *others), result=self.like(node, source, index))
                for index, source in enumerate(sources)
            ]
            self.values[name] = tuple(copy.result for copy in made)
            yield from made
        else:
            yield from self.summed(node, self.values[node.operands[0].name])

    def makers(self, clip: Node) -> Iterator[Node]:
        """The nodes that make the values, which they are told, in place of the group's clip."""
        raise NotImplementedError

    def like(self, node: Node, source: Value, index: int) -> Value:
        """A fresh value for what a pool or view makes of one of them."""
        raise NotImplementedError

    def added(self, node: Node) -> Iterator[Node]:
        """A sum that reads them."""
        raise NotImplementedError

    def summed(self, node: Node, sources: Sequence[Value]) -> Iterator[Node]:
        """A linear layer that reads them."""
        raise NotImplementedError
