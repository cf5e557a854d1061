"""Convolutions that sum the channels of each pixel."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.ann import Conv
from qcompiler.passes.folding.linear import is_pixelwise, replace_weights
from qcompiler.passes.folding.neighbours import only_producer


def pixelwise_into_pixelwise(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Two layers that sum the channels of each pixel are one."""
    inner = only_producer(node, graph, Conv)
    if inner is None or not is_pixelwise(node) or not is_pixelwise(inner):
        return None
    (outer_weight, outer_bias), found = node.arrays, inner.arrays
    matrix = outer_weight.reshape(outer_weight.shape[:2]).astype(np.float64)
    kernel = found[0].reshape(found[0].shape[:2]).astype(np.float64)
    shift = np.tensordot(matrix, found[1].astype(np.float64), 1) + outer_bias
    weight = (matrix @ kernel).reshape(len(matrix), kernel.shape[1], *found[0].shape[2:])
    return (replace_weights(inner, inner.operands[0], weight, shift, node),)
