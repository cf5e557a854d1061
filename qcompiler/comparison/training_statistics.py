"""What a model tells of its training data: statistics of its first batch normalisation."""

from __future__ import annotations

import numpy as np

from qcompiler.explain.measure.real_network import slice_of
from qcompiler.ir import Constant, Graph, Node
from qcompiler.ir.ann import BatchNorm
from qcompiler.ir.kernels import Array

from .compared_outputs import values

_FEWEST = 8  # values of a channel that tell its variance


def variance_ratio(graph: Graph, data: tuple[Array, ...]) -> tuple[Node, float] | None:
    """The first batch normalisation, and how much more its input varies than in training.

    None if there is none, if it has no statistics of training, or too few values tell the variance.
    """
    node = next((n for n in graph.nodes if isinstance(n.op, BatchNorm)), None)
    if node is None or _untrained(node):
        return None
    source = node.operands[0]
    part = slice_of(graph, (), [source.name])
    given = {v.name: x for v, x in zip(graph.inputs, data, strict=True)}
    array = values(part, tuple(given[v.name] for v in part.inputs), [source.name])[source.name]
    if array.size < _FEWEST * array.shape[1]:
        return None
    seen = array.var(axis=tuple(a for a in range(array.ndim) if a != 1), dtype=np.float64)
    trained = _constant(node, 4)
    known = trained > 1e-3 * np.median(trained)
    ratio = float(np.median(seen[known] / trained[known])) if known.any() else 1.0
    return node, ratio


def _constant(node: Node, index: int) -> Array:
    operand = node.operands[index]
    assert isinstance(operand, Constant)
    return operand.data.astype(np.float64).reshape(-1)


def _untrained(node: Node) -> bool:
    """Whether the statistics are those that a batch normalisation starts with."""
    return not _constant(node, 3).any() and bool((_constant(node, 4) == 1).all())
