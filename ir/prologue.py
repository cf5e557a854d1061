"""What the host computes in front of the spikes: rows of tables by index, and whole numbers.

A graph with such operations falls into two: the prologue, which the host runs on the data, and the
network, whose inputs are what the prologue gives. Both are saved as one graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .ann import Concat, CumSum, Embed, Feed, Integer, Reduce
from .diagnostics import DataError, Diagnostic, InvalidGraph
from .execution.evaluate import apply
from .graph import Constant, Graph, Node, Value
from .kernels import Array
from .types import Tensor, size
from .view import View

_ENDS = Embed | Feed  # what the network reads
_INSIDE = Integer | CumSum | Reduce | Concat | View
MOST_ON_HOST = 1 << 24  # numbers of a frame: 128 MB
_INDICES = "give data whose indices are rows of the model's table, as it was trained with"


def split_prologue(graph: Graph) -> tuple[Graph | None, Graph]:
    """The part in front of the network, if there is one, and the network.

    Raises InvalidGraph if a table is read at indices that the network computes.
    """
    needed: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, _ENDS) or node.result.name in needed:
            needed |= {o.name for o in (node.result, *node.operands) if isinstance(o, Value)}
    head = tuple(node for node in graph.nodes if node.result.name in needed)
    if not head:
        return None, graph
    for node in head:
        reads = any(isinstance(operand, Value) for operand in node.operands)
        if not reads or not isinstance(node.op, _ENDS | _INSIDE):
            message = f"the host does not compute %{node.result.name} in front of a table"
            raise InvalidGraph(Diagnostic(message, node.origin))
    rest = tuple(node for node in graph.nodes if node.result.name not in needed)
    read = {o.name for node in rest for o in node.operands if isinstance(o, Value)}
    read |= {value.name for value in graph.outputs}
    given = (*graph.inputs, *(node.result for node in head))
    inputs = tuple(value for value in given if value.name in read)
    prologue = Graph(graph.name, graph.inputs, head, inputs)
    return prologue, replace(graph, inputs=inputs, nodes=rest)


def joined(prologue: Graph | None, network: Graph) -> Graph:
    """Both as one graph, whose inputs are those of the prologue; see `split_prologue`."""
    if prologue is None:
        return network
    coded = {value.name: value for value in network.inputs}
    inputs = tuple(coded.get(value.name, value) for value in prologue.inputs)
    head = (replace(n, result=coded.get(n.result.name, n.result)) for n in prologue.nodes)
    return replace(network, inputs=inputs, nodes=(*head, *network.nodes))


def run_prologue(prologue: Graph, *inputs: Array, first: int = 0) -> tuple[Array, ...]:
    """What the network reads of data, ``frames x shape``; DataError for data that are no indices.

    Names the input, the frame, counted from that of the ``first``, and the node of the table.
    """
    numbers = sum(size(node.result.type) for node in prologue.nodes)
    step, frames = max(1, MOST_ON_HOST // max(1, numbers)), len(inputs[0])
    parts = [
        _run(prologue, [array[begin : begin + step] for array in inputs], first + begin)
        for begin in range(0, max(1, frames), step)
    ]
    return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))


def _run(prologue: Graph, inputs: Sequence[Array], first: int) -> tuple[Array, ...]:
    """The same of some frames."""
    known = {value.name: array for value, array in zip(prologue.inputs, inputs, strict=True)}
    for name, array in known.items():
        if not np.isfinite(array).all():
            raise DataError(f"the data for {name} contain NaN or infinite values")
    for node in prologue.nodes:
        given = [known[o.name] if isinstance(o, Value) else o.data for o in node.operands]
        try:
            known[node.result.name] = apply(node.op, *given)
        except DataError as error:
            raise DataError(_told(prologue, node, given, first)) from error
    return tuple(known[value.name] for value in prologue.outputs)


def run_on_sequences(
    prologue: Graph, names: Sequence[str], arrays: Sequence[Array]
) -> Iterator[dict[str, Array]]:
    """What the network reads of each sequence, ``frames x shape`` by name; DataError names it, too.

    The ``arrays`` are ``sequences x frames x shape``. Inputs that have none are states, which the
    network alone reads.
    """
    inputs = {value.name: value for value in prologue.inputs}
    states = {value for value in prologue.inputs if value.name not in names}
    outputs = tuple(value for value in prologue.outputs if value not in states)
    given = tuple(inputs[name] for name in names)
    whole = Graph(prologue.name, given, prologue.nodes, outputs)
    for number, sequence in enumerate(zip(*arrays, strict=True)):
        try:
            found = run_prologue(whole, *sequence)
        except DataError as error:
            told = error.diagnostics
            where = f"sequence {number}: "
            raise DataError(*(replace(one, message=where + one.message) for one in told)) from error
        yield dict(zip((value.name for value in outputs), found, strict=True))


def read_in_front(prologue: Graph | None) -> set[str]:
    """The names of what the host reads in front of the network."""
    nodes = () if prologue is None else prologue.nodes
    return {o.name for node in nodes for o in node.operands if isinstance(o, Value)}


def _told(prologue: Graph, node: Node, given: list[Array], first: int) -> Diagnostic:
    """What is wrong with indices, and where they are: the input, and the first such frame."""
    made: Node | None = node
    while made is not None:
        source = next(operand for operand in made.operands if isinstance(operand, Value))
        made = prologue.producer(source)  # of what it is made
    values = [isinstance(operand, Value) for operand in node.operands]
    frames = len(given[values.index(True)])
    for frame in range(frames):
        pairs = zip(given, values, strict=True)
        try:
            apply(node.op, *(x[frame : frame + 1] if batch else x for x, batch in pairs))
        except DataError as error:
            (found,) = error.diagnostics
            message = f"the data for {source.name}, frame {first + frame}: {found.message}"
            return replace(found, message=message, nodes=node.origin, help=_INDICES)
    raise AssertionError("no frame is wrong")


def with_ranges_of_tables(prologue: Graph, network: Graph) -> Graph:
    """The network with the range of each table as that of the input that is looked up in it."""
    ranges = {node.result.name: node for node in prologue.nodes if isinstance(node.op, Embed)}
    known = {name: _ranged(node) for name, node in ranges.items()}

    def change(operand: Value | Constant) -> Value | Constant:
        return known.get(operand.name, operand) if isinstance(operand, Value) else operand

    nodes = (replace(n, operands=tuple(map(change, n.operands))) for n in network.nodes)
    inputs = tuple(known.get(value.name, value) for value in network.inputs)
    outputs = tuple(known.get(value.name, value) for value in network.outputs)
    return replace(network, inputs=inputs, nodes=tuple(nodes), outputs=outputs)


def _ranged(node: Node) -> Value:
    (table,) = node.arrays
    assert isinstance(node.result.type, Tensor)
    low, high = float(table.min()), float(table.max())
    return node.result.ranged((low, high)) if low < high else node.result
