"""The path of spikes from the population that sends them, through views, to one that they reach."""

from __future__ import annotations

from qcompiler.ir.graph import Graph, Node
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.snn import Connect, Convolve, First, Relay
from qcompiler.ir.view import View, arrange

from .integer_network import weight_of
from .senders import sender
from .synapse import current


class SynapsePath:
    """The path of spikes from a population through views and a synapse or a pool."""

    def __init__(self, graph: Graph, node: Node) -> None:
        assert isinstance(node.op, Convolve | Connect | Relay | First)
        self.node, self.op = node, node.op
        self.delay = 0 if isinstance(node.op, First) else node.op.delay
        self.sender = sender(graph, node.operands[0]).result.name
        self.views: list[tuple[View, tuple[Array, ...]]] = []
        while (before := graph.producer(node.operands[0])) and isinstance(before.op, View):
            node = before
            self.views.insert(0, (before.op, before.arrays))

    def arranged(self, spikes: Array) -> Array:
        """Spikes, or numbers of them, as views show them."""
        for view, constants in self.views:
            spikes = arrange(view, spikes, *constants)
        return spikes

    def propagate(self, spikes: Array) -> Array:
        """The currents that spikes cause; for a pool, which groups contain a spike."""
        spikes = self.arranged(spikes)
        if isinstance(self.op, First):
            return pool_max(spikes, self.op, self.op.kernel, False)
        return current(self.op, spikes, weight_of(self.node))
