"""What counters count of levels and inputs: steps of the outputs, and what is saturated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode, Encode, Population
from qcompiler.ir.spiking.coding import Rescaling, count_saturated, whole_levels
from qcompiler.ir.spiking.decoded_outputs import lower_pieces
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.ir.spiking.senders import sender, start
from qcompiler.ir.types import size


def output_steps(graph: Graph, levels: Mapping[str, Array]) -> tuple[int, int]:
    """Sum over frames of the step at which the largest output is known, and the latest step.

    It is known at the first spike; of an output in pieces at the last spike of the largest.
    """
    firsts, last = [], 0
    for node in graph.nodes:
        if isinstance(node.op, Decode):
            pieces = [sender(graph, v) for v in node.operands if isinstance(v, Value)]
            given = [levels[piece.result.name] for piece in pieces]
            ends = np.max(
                [_steps(graph, *pair) for pair in zip(pieces, given, strict=True)], axis=0
            )
            whole, ends = (a.reshape(len(a), -1) for a in (whole_levels(node, *given), ends))
            firsts.append(np.take_along_axis(ends, whole.argmax(axis=1)[:, None], axis=1)[:, 0])
            last = max(last, int(ends.max()))
    return int(np.min(firsts, axis=0).sum()), last


def _steps(graph: Graph, node: Node, levels: Array) -> Array:
    """The steps of spikes; a silent level is known when it would spike."""
    begin = start(graph, node.result)
    assert begin is not None
    found: Array = begin + spikes_of(node.result).top - levels
    return found


def coded_values(graph: Graph) -> int:
    """Inputs and integrating neurons of one frame: what may saturate."""
    lower = lower_pieces(graph)
    return sum(
        size(node.result.type)
        for node in spiking_nodes(graph)
        if (isinstance(node.op, Population) and node.result.name not in lower)
        or _is_last_digit(node)
    )


def saturated_inputs(graph: Graph, inputs: tuple[Array, ...]) -> int:
    """Number of input values outside the range of their code."""
    return sum(
        count_saturated(node.op.code, x, Rescaling.of(node))
        for value, x in zip(graph.inputs, inputs, strict=True)
        for node in graph.users(value)
        if isinstance(node.op, Encode) and _is_last_digit(node)
    )


def _is_last_digit(node: Node) -> bool:
    """Whether this encodes the lowest digit of an input; higher digits have other encoders."""
    return isinstance(node.op, Encode) and node.op.digit == 0
