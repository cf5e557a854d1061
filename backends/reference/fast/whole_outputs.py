"""Decoding of outputs whose pieces add up: the host reads the whole in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from qcompiler.backends.reference.kernels.pieces import Piece
from qcompiler.backends.reference.kernels.sum_parts import add_up
from qcompiler.ir import Graph, Node, Spikes, Value
from qcompiler.ir.snn import Decode
from qcompiler.ir.spiking.coding import code_of_output


def with_whole_outputs(graph: Graph, pieces: Mapping[str, Piece]) -> tuple[Graph, dict[str, Piece]]:
    """The graph with other operands of `Decode` where it can be, and what these operands are."""
    wholes: dict[str, Piece] = {}
    nodes = []
    for node in graph.nodes:
        found = _whole_of(node, pieces)
        if found is not None:
            node = _reading(node)
            wholes[node.operands[0].name] = Piece.of(found.whole)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes)), wholes


def _whole_of(node: Node, pieces: Mapping[str, Piece]) -> Piece | None:
    """A piece of the whole that is decoded, if it is one."""
    op = node.op
    if not isinstance(op, Decode) or len(op.places) < 2 or set(op.places) != {1}:
        return None
    found = [pieces.get(operand.name) for operand in node.operands[: len(op.places)]]
    first = found[0]
    if first is None or len({piece and piece.whole for piece in found}) > 1:
        return None
    if any(piece is None or not piece.has_all_channels for piece in found):
        return None
    each = {piece: np.ones(()) for piece in found if piece is not None}
    fits = len(each) == len(found) and code_of_output(node).top == first.whole.top
    return first if fits and add_up(each) else None


def _reading(node: Node) -> Node:
    assert isinstance(node.op, Decode)
    code, rest = code_of_output(node), node.operands[len(node.op.places) :]
    spikes = Spikes(code.shape, code.t_max, code.scale, code.zero)
    whole = Value(f"{node.result.name}:whole", spikes)
    return replace(node, op=Decode(), operands=(whole, *rest))
