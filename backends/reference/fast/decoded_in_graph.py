"""Decoding of small outputs by a table, behind the network in its ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from qcompiler.backends.reference.kernels.pieces import Piece
from qcompiler.ir import Graph, Node
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.snn import Decode
from qcompiler.ir.spiking.coding import code_of_output, table_of_sum
from qcompiler.ir.types import size

_MOST = 64  # numbers of a frame; many take numpy a third of the time, few the time of its calls
_INT32 = 6


def decoded_in_graph(
    graph: Graph, writer: OnnxWriter, pieces: Mapping[str, Piece]
) -> tuple[Graph, dict[str, str]]:
    """The graph without the operations `Decode` that a model does, and its result for each."""
    done: dict[str, str] = {}
    for node in graph.nodes:
        if isinstance(node.op, Decode) and size(node.result.type) <= _MOST:
            table, piece = table_of_sum(node), pieces.get(node.operands[0].name)
            if table is not None and len(node.op.places) > 1:
                if (places := _sum_of(node, writer, pieces)) is not None:
                    done[node.result.name] = writer.add("Gather", writer.constant(table), places)
            elif table is not None and piece is not None:
                levels = piece.alone
                if levels.over_top is not None:  # a longer table clips them
                    table = np.pad(table[: levels.top + 1], (0, 255 - levels.top), "edge")
                form = levels.over_top or levels.byte or levels.as_real()
                places = writer.add("Cast", form, to=_INT32)
                done[node.result.name] = writer.add("Gather", writer.constant(table), places)
    rest = tuple(node for node in graph.nodes if node.result.name not in done)
    return replace(graph, nodes=rest), done


def _sum_of(node: Node, writer: OnnxWriter, pieces: Mapping[str, Piece]) -> str | None:
    """The levels of digits or slices that are decoded together, added up; None if unknown."""
    assert isinstance(node.op, Decode)
    found = [pieces.get(operand.name) for operand in node.operands[: len(node.op.places)]]
    total: str | None = None
    for place, piece in zip(node.op.places, found, strict=True):
        if piece is None:
            return None
        factor = writer.constant(np.asarray(place, np.float32))
        part = writer.add("Mul", piece.alone.as_real(), factor)
        total = part if total is None else writer.add("Add", total, part)
    assert total is not None
    top = writer.constant(np.asarray(code_of_output(node).top, np.float32))
    return writer.add("Cast", writer.add("Min", total, top), to=_INT32)
