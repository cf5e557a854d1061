"""Decoding of small outputs by a table, behind the network in its ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from qcompiler.backends.reference.kernels.pieces import Piece
from qcompiler.ir import Graph
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.snn import Decode
from qcompiler.ir.spiking.coding import table_of
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
            table, piece = table_of(node), pieces.get(node.operands[0].name)
            if table is not None and piece is not None:
                levels = piece.alone
                if levels.over_top is not None:  # a longer table clips them
                    table = np.pad(table[: levels.top + 1], (0, 255 - levels.top), "edge")
                form = levels.over_top or levels.byte or levels.as_real()
                places = writer.add("Cast", form, to=_INT32)
                done[node.result.name] = writer.add("Gather", writer.constant(table), places)
    rest = tuple(node for node in graph.nodes if node.result.name not in done)
    return replace(graph, nodes=rest), done
