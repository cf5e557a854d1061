"""Scales and shifts merge with each other, and with the linear layer before or behind them."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Graph, Node, origins
from qcompiler.ir.ann import Affine, Conv, Dense

from .linear import fold_before, fold_behind, folds_before
from .neighbours import affine, is_ranged, only_producer, scale_and_shift
from .sums import sum_rules


def merge_affines(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Two scales and shifts are one."""
    if not isinstance(node.op, Affine) or not (inner := only_producer(node, graph, Affine)):
        return None
    (first, offset), (second, shift) = scale_and_shift(inner), scale_and_shift(node)
    moved = offset.astype(np.float64) * second + shift
    gain = first.astype(np.float64) * second
    return (affine(inner.operands[0], gain, moved, node.result, origins(inner, node)),)


def affine_behind_linear(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A scale and a shift move into the layer before them."""
    if not isinstance(node.op, Affine) or not (inner := only_producer(node, graph, Conv | Dense)):
        return None
    found = fold_behind(inner, node, *scale_and_shift(node))
    return (found,) if found else None


def affine_before_linear(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A scale and a shift move into the layers behind them, if all of these can take them in."""
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, Affine) or graph.is_output(inner.result):
        return None
    if is_ranged(inner.result) and not is_ranged(inner.operands[0]):
        return None  # what is left would have no range
    scale, shift = scale_and_shift(inner)
    if not all(folds_before(user, inner, scale) for user in graph.users(inner.result)):
        return None
    found = fold_before(node, inner, scale, shift)
    return (found,) if found else None


# What keeps layers, and sums of layers, in the form that fusion groups look for.
SUMS = (merge_affines, affine_behind_linear, affine_before_linear, sum_rules)
