"""Graphs inside nodes: read once, run for every step.

Files are not trusted: the nodes that are imported so are counted, and so are the constants they
compute.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import InvalidNode, Item, Refused
from qcompiler.frontend.model.onnx_file import initializers

from .model_graph import Entry, entries, needed, reads
from .walker import Walker

_SHORTER = "export the model for a shorter sequence, or cut the model"
_MOST_NODES = 1 << 13  # that all bodies of a model are unrolled to
_MOST_NUMBERS = 1 << 24  # in constants that they compute


@dataclass(frozen=True)
class Subgraph:
    """A graph inside a node: its nodes in order, its constants, the names it takes and gives."""

    order: tuple[Entry, ...]
    constants: dict[str, Item]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Subgraphs:
    """The bodies of a model, and how much more they may unroll to."""

    def __init__(self, walk: Walker) -> None:
        self.walk = walk
        self.nodes = _MOST_NODES
        self.numbers = _MOST_NUMBERS
        self._known: dict[tuple[int, ...], Subgraph] = {}

    def of(self, entry: Entry, name: str) -> Subgraph:
        """A body by the name of its attribute."""
        key, graph = graph_of(entry, name)
        if key not in self._known:
            self._known[key] = self._read(graph, key, entry)
        return self._known[key]

    def _read(self, graph: onnx.GraphProto, key: tuple[int, ...], entry: Entry) -> Subgraph:
        walk = self.walk
        nodes = entries(graph, key, f"{entry.name}/")
        if graph.sparse_initializer:
            raise Refused(f"{entry.op_type} with a sparse tensor is not supported")
        model = replace(walk.model, graph=graph, arrays=initializers(graph, walk.model.tensors))
        order = needed(model, nodes, walk.items)
        alive = {inner.key for inner in order}
        for inner in nodes:
            if inner.key not in alive:
                walk.report.note(inner, "removed", "no output needs it")
        walk.used |= {name for inner in order for name in reads(inner.node)}
        walk.used |= {output.name for output in graph.output}
        constants: dict[str, Item] = {n: walk.scope.known(a, n) for n, a in model.arrays.items()}
        walk.items = walk.items.new_child(constants)
        for inner in order:
            if inner.op_type == "Constant":  # read once, for reading may take their data away
                walk.visit(inner)
        walk.items = walk.items.parents
        return Subgraph(
            tuple(inner for inner in order if inner.op_type != "Constant"),
            constants,
            tuple(value.name for value in graph.input),
            tuple(value.name for value in graph.output),
        )

    def run(self, entry: Entry, body: Subgraph, given: Sequence[Item], label: str) -> list[Item]:
        """The outputs of a body for these inputs; ``label`` tells the names of this step apart."""
        walk = self.walk
        outer, suffix = walk.items, walk.suffix
        if len(given) != len(body.inputs):
            raise InvalidNode(f"passes {len(given)} values to a body that takes {len(body.inputs)}")
        known = {**body.constants, **dict(zip(body.inputs, given, strict=True))}
        walk.items, walk.suffix = ChainMap(known, *outer.maps), suffix + label
        try:
            self._spend(entry, ())
            for inner in body.order:
                self._spend(entry, walk.visit(inner))
            return [walk.items[name] for name in body.outputs]
        finally:
            walk.items, walk.suffix = outer, suffix

    def _spend(self, entry: Entry, results: Sequence[Item]) -> None:
        self.nodes -= 1
        for item in results:
            if isinstance(item, KnownArray):
                self.numbers -= sum(array.size for array in item.arrays)
        if self.nodes < 0:
            raise Refused(f"{entry.op_type} unrolls to more than {_MOST_NODES:,} nodes", _SHORTER)
        if self.numbers < 0:
            raise Refused(f"{entry.op_type} computes too many constants", _SHORTER)


def graph_of(entry: Entry, name: str) -> tuple[tuple[int, ...], onnx.GraphProto]:
    """A graph that a node holds, and its place in the model."""
    for index, attribute in enumerate(entry.node.attribute):
        if attribute.name == name and attribute.HasField("g"):
            return (*entry.key, index), attribute.g
    raise InvalidNode(f"has no {name}")
