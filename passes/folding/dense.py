"""Two dense layers with nothing between them are one."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.ann import Dense

from .linear import parameters, replace_weights
from .neighbours import only_producer

_MOST = 2  # times the synapses of the two layers: one layer saves a window, and rounds nothing


def dense_into_dense(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Merge two layers, unless the first one is a bottleneck that saves many synapses."""
    inner = only_producer(node, graph, Dense)
    first, second = parameters(inner) if inner else None, parameters(node)
    if inner is None or first is None or second is None or not isinstance(node.op, Dense):
        return None
    (weight, bias), (outer, shift) = (
        [array.astype(np.float64) for array in pair] for pair in (first, second)
    )
    if np.count_nonzero(outer.any(axis=1)) * np.count_nonzero(weight.any(axis=0)) > _MOST * (
        np.count_nonzero(weight) + np.count_nonzero(outer)
    ):
        return None
    moved = outer @ np.broadcast_to(bias, inner.result.type.shape) + shift
    merged = replace_weights(inner, inner.operands[0], outer @ weight, moved, node)
    return (merged,)
