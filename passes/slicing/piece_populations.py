"""Populations replaced by their pieces: slices, or digits, that the host adds up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Value, drop_dead, infer
from qcompiler.ir.builder import Names
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.snn import Decode, Neuron, Relay
from qcompiler.ir.spiking.integer_network import Layer, layer_of, spikes_of
from qcompiler.passes.quantization.levels import narrow
from qcompiler.passes.quantization.output_pieces import Piece

from .slices import digit_name, slice_name


def with_pieces(graph: Graph, pieces: dict[str, list[Piece]]) -> Graph:
    """The graph with the pieces of some populations, by name; itself if none has any."""
    found = {name: some for name, some in pieces.items() if some}
    return drop_dead(_Splitter(graph, found).rewritten()) if found else graph


class _Splitter:
    """Rewrites a graph with the pieces of some populations, given by name."""

    def __init__(self, graph: Graph, pieces: dict[str, list[Piece]]) -> None:
        self.graph, self.pieces = graph, pieces
        given = (value.name for value in graph.inputs)
        self.names = Names((*given, *(node.result.name for node in graph.nodes)))
        self.made: dict[str, tuple[Value, ...]] = {}  # the pieces of spikes, by name
        self.of: dict[str, list[Piece]] = {}  # what these are pieces of

    def rewritten(self) -> Graph:
        """The graph; what only the whole populations read is left in it."""
        nodes = [new for node in self.graph.nodes for new in self._rewrite(node)]
        return replace(self.graph, nodes=tuple(nodes))

    def _rewrite(self, node: Node) -> Iterator[Node]:
        name = node.result.name
        if name in self.pieces:
            yield from self._split(node, self.pieces[name])
            return
        made = self.made.get(node.operands[0].name) if node.operands else None
        if made is None:
            yield node
        elif isinstance(node.op, Decode):
            yield self._decoded(node, made)
        else:
            yield from self._copied(node, made)

    def _split(self, node: Node, pieces: list[Piece]) -> Iterator[Node]:
        layer, rank = layer_of(self.graph, node), len(node.result.type.shape)
        values: list[Value] = []
        for name, zero, piece in zip(*_names_and_zeros(layer, pieces), pieces, strict=True):
            reads: list[tuple[Op, tuple[Operand, ...], tuple[str, ...]]] = [
                (s.op, s.operands, s.origin) for s in layer.synapses
            ]
            for index, weight, _ in piece.inhibitions:
                spread = expand_to_rank(-weight, rank)
                constant = _constant(f"{name}:W.{values[index].name}", spread)
                reads.append((Relay(), (values[index], constant), node.origin))
            currents = [self._node(f"{name}:current", *read) for read in reads]
            yield from currents
            constants = [_constant(f"{name}:B", piece.bias), _constant(f"{name}:D", piece.slope)]
            if layer.bounds is not None:
                # Beside what inhibits a digit, its own proved bounds are wider than the whole's.
                whole = layer.drive.bounds if piece.inhibitions else layer.bounds
                rows = np.stack(np.broadcast_arrays(*piece.bounded(whole)))
                constants.append(_constant(f"{name}:bounds", rows))
            operands: tuple[Operand, ...] = (*(current.result for current in currents), *constants)
            yield (made := self._node(name, _op(node, piece, zero), operands, node.origin))
            values.append(made.result)
        self.made[node.result.name] = tuple(values)
        self.of[node.result.name] = pieces

    def _copied(self, node: Node, made: tuple[Value, ...]) -> Iterator[Node]:
        """A view or gate of each piece."""
        source, name = node.operands[0].name, node.result.name
        self.of[name], copies = self.of[source], []
        for value in made:
            suffix = value.name.rpartition(":")[2]
            operands = (value, *node.operands[1:])
            copies.append(self._node(f"{name}:{suffix}", node.op, operands, node.origin))
        self.made[name] = tuple(copy.result for copy in copies)
        yield from copies

    def _decoded(self, node: Node, made: tuple[Value, ...]) -> Node:
        pieces = self.of[node.operands[0].name]
        levels = 1 + sum(piece.place * (piece.t_max - 1) for piece in pieces)
        whole = spikes_of(node.operands[0]).t_max
        op = Decode(tuple(p.place for p in pieces), whole if levels > whole else 0)
        return replace(node, op=op, operands=(*made, *node.operands[1:]))

    def _node(
        self, name: str, op: Op, operands: tuple[Operand, ...], origin: tuple[str, ...]
    ) -> Node:
        type_ = infer(op, operands, origin)
        return Node(op, operands, Value(self.names.unique(name), type_), origin)


def _names_and_zeros(layer: Layer, pieces: list[Piece]) -> tuple[list[str], list[int]]:
    """Names and zero points of pieces: all zero points but that of the lowest are 0."""
    name, zero = layer.node.result.name, layer.spikes.zero
    zeros = [0] * (len(pieces) - 1)
    if pieces[0].place == 1:
        return [slice_name(name, at) for at in range(len(pieces))], [zero, *zeros]
    return [digit_name(name, at) for at in reversed(range(len(pieces)))], [*zeros, zero]


def _op(node: Node, piece: Piece, zero: int) -> Neuron:
    assert isinstance(node.op, Neuron)
    scale = node.op.scale * piece.place
    return replace(node.op, t_max=piece.t_max, scale=scale, zero=zero, window=None)


def _constant(name: str, array: Array) -> Constant:
    return Constant(name, narrow(array.astype(np.int64)))
