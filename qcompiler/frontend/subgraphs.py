"""Graphs inside nodes: read once, run for every step.

Files are not trusted: the nodes that are imported so are counted, and so are the constants they
compute.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import onnx

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_file import initializers
from qcompiler.frontend.model.scope import AbstractValue, Unknown
from qcompiler.ir import Value

from .interpreter_state import InterpreterState
from .model_graph import Entry, entries, live_nodes, names_read

_SHORTER = "export the model for a shorter sequence, or cut the model"
_MOST_NODES = 1 << 13  # that all bodies of a model are unrolled to
_MOST_ELEMENTS = 1 << 24  # in constants that they compute


@dataclass(frozen=True)
class Subgraph:
    """A graph inside a node: its nodes in order, its constants, the names it takes and gives."""

    order: tuple[Entry, ...]
    constants: dict[str, AbstractValue]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Subgraphs:
    """The bodies of a model, and how much more they may unroll to."""

    def __init__(self, interpreter: InterpreterState) -> None:
        self.interpreter = interpreter
        self.nodes = _MOST_NODES
        self.constant_elements = _MOST_ELEMENTS
        self._known: dict[tuple[int, ...], Subgraph] = {}

    def of(self, entry: Entry, name: str) -> Subgraph:
        """A body by the name of its attribute."""
        key, graph = graph_of(entry, name)
        if key not in self._known:
            self._known[key] = self._read(graph, key, entry)
        return self._known[key]

    def _read(self, graph: onnx.GraphProto, key: tuple[int, ...], entry: Entry) -> Subgraph:
        interpreter = self.interpreter
        nodes = entries(graph, key, f"{entry.name}/")
        if graph.sparse_initializer:
            raise Refused(f"{entry.op_type} with a sparse tensor is not supported")
        model = replace(
            interpreter.model, graph=graph, arrays=initializers(graph, interpreter.model.tensors)
        )
        order = live_nodes(model, nodes, interpreter.items)
        alive = {inner.key for inner in order}
        for inner in nodes:
            if inner.key not in alive:
                interpreter.report.note(inner, "removed", "no output depends on it")
        interpreter.used |= {name for inner in order for name in names_read(inner.node)}
        interpreter.used |= {output.name for output in graph.output}
        constants: dict[str, AbstractValue] = {
            n: interpreter.scope.known(a, n) for n, a in model.arrays.items()
        }
        interpreter.items = interpreter.items.new_child(constants)
        for inner in order:
            if inner.op_type == "Constant":  # read once, for reading may take their data away
                interpreter.visit(inner)
        interpreter.items = interpreter.items.parents
        return Subgraph(
            tuple(inner for inner in order if inner.op_type != "Constant"),
            constants,
            tuple(value.name for value in graph.input),
            tuple(value.name for value in graph.output),
        )

    def run(
        self, entry: Entry, body: Subgraph, given: Sequence[AbstractValue], label: str
    ) -> list[AbstractValue]:
        """The outputs of a body for these inputs; ``label`` tells the names of this step apart."""
        interpreter = self.interpreter
        outer, suffix = interpreter.items, interpreter.suffix
        if len(given) != len(body.inputs):
            raise InvalidNode(f"passes {len(given)} values to a body that takes {len(body.inputs)}")
        known = {**body.constants, **dict(zip(body.inputs, given, strict=True))}
        interpreter.items, interpreter.suffix = ChainMap(known, *outer.maps), suffix + label
        try:
            self._count(entry, ())
            for inner in body.order:
                self._count(entry, interpreter.visit(inner))
            return [interpreter.items[name] for name in body.outputs]
        finally:
            interpreter.items, interpreter.suffix = outer, suffix

    def first_depends_on_data(self, body: Subgraph, given: Sequence[AbstractValue]) -> bool:
        """Whether the first output of a body, for these inputs, is computed from the data.

        The shape of a value does not depend on the data, whatever the value is.
        """
        known = ChainMap(
            {**body.constants, **dict(zip(body.inputs, given, strict=False))},
            *self.interpreter.items.maps,
        )
        read = _behind(body.order, body.outputs[:1], {"Shape", "Size"})
        return any(isinstance(known.get(name), Value | Unknown) for name in read)

    def without_condition(self, body: Subgraph) -> Subgraph:
        """A body that gives its second input, which is true, in place of its first output."""
        read = _behind(body.order, body.outputs[1:])
        for inner in body.order:
            if not read & {*inner.node.output}:
                self.interpreter.report.note(inner, "removed", "only the loop's condition reads it")
        order = tuple(inner for inner in body.order if read & {*inner.node.output})
        return replace(body, order=order, outputs=(body.inputs[1], *body.outputs[1:]))

    def _count(self, entry: Entry, results: Sequence[AbstractValue]) -> None:
        self.nodes -= 1
        for item in results:
            if isinstance(item, KnownArray):
                self.constant_elements -= sum(array.size for array in item.arrays)
        if self.nodes < 0:
            raise Refused(f"{entry.op_type} unrolls to more than {_MOST_NODES:,} nodes", _SHORTER)
        if self.constant_elements < 0:
            raise Refused(f"{entry.op_type} computes too many constants", _SHORTER)


def _behind(order: Sequence[Entry], names: Sequence[str], stops: Collection[str] = ()) -> set[str]:
    """Names that values are computed from, their own included; not through operators that stop."""
    found = {*names}
    for entry in reversed(order):
        if found & {*entry.node.output} and entry.op_type not in stops:
            found.update(names_read(entry.node))
    return found


def graph_of(entry: Entry, name: str) -> tuple[tuple[int, ...], onnx.GraphProto]:
    """A graph that a node holds, and its place in the model."""
    for index, attribute in enumerate(entry.node.attribute):
        if attribute.name == name and attribute.HasField("g"):
            return (*entry.key, index), attribute.g
    raise InvalidNode(f"has no {name}")
