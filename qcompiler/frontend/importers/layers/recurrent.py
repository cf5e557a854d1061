"""Importers of recurrent cells, unrolled: RNN, GRU and LSTM over a fixed number of steps."""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.views.reshape import with_placement
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused, RefusedProduct
from qcompiler.frontend.model.placement import Placement
from qcompiler.ir import Value
from qcompiler.ir.ann import Concat
from qcompiler.ir.view import Reshape

from .recurrent_cell import RecurrentCell, State, check_shapes, with_batch_at
from .sequence_lengths import sequence_lengths


def recurrent(node: NodeContext) -> tuple[Value, ...]:
    """RNN, GRU and LSTM in any direction; states start as constants, or as what depends on data."""
    kind, layout = node.op_type, node.integer("layout", 0)
    x = with_batch_at(node, node.activation(), 1 - layout)
    if len(x.type.shape) != 2:
        raise InvalidNode(f"reads samples of shape {x.type.shape}, not of two axes")
    _plain_only(node)
    lengths = sequence_lengths(node, x.type.shape[0])
    if lengths is None:
        _whole_only(node, x.type.shape[0])
    directions = {"forward": [1], "reverse": [-1], "bidirectional": [1, -1]}
    ways = directions[node.text("direction", "forward")]
    check_shapes(node, x.type.shape[1], len(ways))
    cells = [RecurrentCell(node, index, len(ways)) for index in range(len(ways))]
    runs = [cell.run(x, way, lengths) for cell, way in zip(cells, ways, strict=True)]
    hidden = [
        [_row(node, h, cell.size) for h in run.hidden]
        for run, cell in zip(runs, cells, strict=True)
    ]
    y = _joined(node, [_joined(node, list(times), 1) for times in zip(*hidden, strict=True)], 0)
    found = [(y, 2)]
    ends = [_row(node, run.last, cell.size) for run, cell in zip(runs, cells, strict=True)]
    found.append((_flat(node, _joined(node, ends, 1)), 1))
    if kind == "LSTM":
        last = [_row(node, run.cell, cell.size) for run, cell in zip(runs, cells, strict=True)]
        found.append((_flat(node, _joined(node, last, 1)), 1))
    places = [Placement(0 if layout else at) for _, at in found]
    return tuple(
        with_placement(node, value, p) for (value, _), p in zip(found, places, strict=True)
    )


def _plain_only(node: NodeContext) -> None:
    kind = node.op_type
    if isinstance(node.item(0), Value) and kind != "RNN" and not node.scope.allow_products:
        raise RefusedProduct(
            f"{kind} multiplies values that depend on the data",
            "--allow-products builds products from gates, which takes many neurons; an RNN with "
            "Relu needs none",
        )
    for name in ("clip", "input_forget"):
        if node.attributes.get(name):
            raise Refused(f"{kind} with {name} is not supported")
    if node.item(7) is not None and kind == "LSTM":
        raise Refused("LSTM with peepholes is not supported")


def _whole_only(node: NodeContext, length: int) -> None:
    known = node.known(4, "sequence_lens")
    if known is not None and any(np.any(array != length) for array in known.arrays):
        raise Refused(
            f"{node.op_type} over only part of the {length} time steps is not supported",
            "remove sequence_lens, and cut or pad the sequences before the network",
        )


def _row(node: NodeContext, h: State, size: int) -> Value:
    if not isinstance(h, Value):
        raise Refused(f"{node.op_type} over zero time steps is not supported")
    return node.part("row", Reshape((1, 1, size)), h)


def _joined(node: NodeContext, values: list[Value], axis: int) -> Value:
    return values[0] if len(values) == 1 else node.part("joined", Concat(axis), *values)


def _flat(node: NodeContext, value: Value) -> Value:
    return node.part("state", Reshape(value.type.shape[1:]), value)
