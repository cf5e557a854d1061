"""Questions about the graph of an ONNX model: its inputs, and the order of the nodes it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import onnx
from onnx import TensorProto

from qcompiler.frontend.model.message_checks import repeated, subgraphs
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.onnx_tensor import FLOATS, INTEGERS
from qcompiler.ir import Diagnostic, InvalidModel

from .input_axes import Axes, written

_NUMBERS = "export the model with inputs of real numbers or integers"
_STANDARD = ("DequantizeLinear", "QuantizeLinear")  # which onnxruntime's domain has as well


@dataclass(frozen=True)
class Entry:
    """A node with its name; its place in the file gives it one if it has none.

    ``path`` leads to the graph that holds it: indices of nodes and of their attributes.
    """

    index: int
    name: str
    op_type: str
    node: onnx.NodeProto
    path: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[int, ...]:
        """The place of the node in the model."""
        return (*self.path, self.index)


def entries(
    graph: onnx.GraphProto, path: tuple[int, ...] = (), prefix: str = ""
) -> tuple[Entry, ...]:
    """All nodes; operators of other domains are named with the domain.

    ``prefix`` is put in front of the names that are made up.
    """
    found = []
    for index, node in enumerate(graph.node):
        if node.domain == "com.microsoft" and node.op_type in _STANDARD:
            node = onnx.NodeProto.FromString(node.SerializeToString())
            node.domain = ""
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        op_type = f"{domain}{node.op_type}"
        name = node.name or f"{prefix}{node.op_type}_{index}"
        found.append(Entry(index, name, op_type, node, path))
    return tuple(found)


def live_nodes(
    model: Model, nodes: tuple[Entry, ...], outer: Collection[str] = ()
) -> tuple[Entry, ...]:
    """The nodes that outputs need, in an order in which they can run.

    ``outer`` holds the names that are defined around the graph. Raises InvalidModel if a name is
    undefined or defined twice, or the graph has a cycle.
    """
    given = {value.name for value in model.graph.input} | set(model.arrays)
    given |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    again = repeated(value.name for value in model.graph.input)
    if again := again or [name for name in given if name in outer]:
        raise _fail(model, f'value "{again[0]}" is defined twice')
    given.update(outer)
    producers: dict[str, Entry] = {}
    for entry in nodes:
        for name in filter(None, entry.node.output):
            if name in producers or name in given:
                raise _fail(model, f'value "{name}" is defined twice', entry)
            producers[name] = entry
    for output in model.graph.output:
        if output.name not in producers and output.name not in given:
            raise _fail(model, f'output "{output.name}" is not defined')
    alive = _alive(model, producers)
    for entry in alive:
        for name in filter(None, entry.node.input):
            if name not in producers and name not in given:
                raise _fail(model, f'value "{name}" is not defined', entry)
    return _sorted(model, alive, producers)


def _fail(model: Model, what: str, entry: Entry | None = None) -> InvalidModel:
    nodes = (entry.name,) if entry else ()
    return InvalidModel(Diagnostic(f"{model.file}: {what}", nodes))


def _alive(model: Model, producers: dict[str, Entry]) -> list[Entry]:
    found: dict[int, Entry] = {}
    names = [output.name for output in model.graph.output]
    while names:
        entry = producers.get(names.pop())
        if entry is not None and entry.index not in found:
            found[entry.index] = entry
            names.extend(names_read(entry.node))
    return [found[index] for index in sorted(found)]


def _sorted(model: Model, alive: list[Entry], producers: dict[str, Entry]) -> tuple[Entry, ...]:
    by_index = {entry.index: entry for entry in alive}
    sources = {
        entry.index: [producers[n].index for n in names_read(entry.node) if n in producers]
        for entry in alive
    }
    if all(source < index for index, found in sources.items() for source in found):
        return tuple(alive)
    try:
        return tuple(by_index[index] for index in TopologicalSorter(sources).static_order())
    except CycleError as error:
        entry = by_index[error.args[1][0]]
        raise _fail(
            model, "the graph has a cycle: a node depends on its own result", entry
        ) from error


def names_read(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, those that its subgraphs read from around them too."""
    yield from filter(None, node.input)
    for graph in subgraphs(node):
        held = {name for inner in graph.node for name in inner.output}
        held |= {value.name for value in graph.input} | {t.name for t in graph.initializer}
        read = [name for inner in graph.node for name in names_read(inner)]
        read += [output.name for output in graph.output]
        yield from (name for name in read if name not in held)


def input_axes(value: onnx.ValueInfoProto) -> Axes:
    """The axes of an input, none if it has no shape; Refused if that is no tensor of numbers."""
    name, tensor = value.name, value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise Refused(f'input "{name}" is not a tensor')
    if tensor.elem_type not in (*FLOATS, *INTEGERS):
        known = tensor.elem_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.elem_type).lower() if known else "unknown"
        raise Refused(f'input "{name}" holds {kind}, not numbers', _NUMBERS)
    if not tensor.HasField("shape"):
        return ()
    axes = tuple(map(_length, tensor.shape.dim))
    if 0 in axes:
        raise Refused(f'input "{name}" has the shape {written(axes)}, which is empty')
    if not axes:
        raise Refused(
            f'input "{name}" is a scalar',
            f"state its value, --input-value {name}=.., or give it a batch axis",
        )
    return axes


def sequences_of(graph: onnx.GraphProto) -> list[str]:
    """Names of what recurrent cells read with the batch axis second: sequences, and states."""
    return [
        name
        for node in graph.node
        if node.op_type in ("RNN", "GRU", "LSTM")
        and not any(a.name == "layout" and a.i for a in node.attribute)
        for name in (*node.input[:1], *node.input[5:7])
    ]


def _length(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    """Length of an axis, or what is written in its place."""
    fixed = dim.HasField("dim_value") and dim.dim_value >= 0
    return dim.dim_value if fixed else str(dim.dim_param or "?")
