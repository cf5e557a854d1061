"""Fold batch normalisation into the linear layer before or behind it.

    scale' = scale / sqrt(variance + epsilon)      shift' = shift - mean * scale'
    BN(W x + b) = (scale' W) x + scale' b + shift'
    W BN(x) + b = (W scale') x + W shift' + b      (at padded borders W reaches less of shift')

A batch normalisation that no neighbour can absorb becomes ``ann.affine``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qcompiler.ir import Constant, Graph, Invariant, Node, rewrite
from qcompiler.ir.ann import Affine, BatchNorm
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.passes.base import Pass
from qcompiler.passes.folding.linear import fold_before, fold_behind


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Fold every batch normalisation into a neighbouring layer."""

    name: ClassVar[str] = "fold-batchnorm"
    establishes: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)

    def __call__(self, graph: Graph) -> Graph:
        """Fold behind linear layers first, then before them, then into an affine map."""
        return rewrite(rewrite(rewrite(graph, _behind), _before), _alone)


def _behind(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    inner = graph.producer(node.operands[0]) if isinstance(node.op, BatchNorm) else None
    if inner is None or graph.only_user(inner.result) is not node:
        return None
    found = fold_behind(inner, node, *_affine(node))
    return (found,) if found else None


def _before(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, BatchNorm):
        return None
    if graph.only_user(inner.result) is not node:
        return None
    found = fold_before(node, inner, *_affine(inner))
    return (found,) if found else None


def _alone(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    if not isinstance(node.op, BatchNorm):
        return None
    name = node.result.name
    scale, shift = (array.astype(np.float32) for array in _affine(node))
    constants = Constant(f"{name}:scale", scale), Constant(f"{name}:shift", shift)
    return (Node(Affine(), (node.operands[0], *constants), node.result, node.origin),)


def _affine(node: Node) -> tuple[Array, Array]:
    assert isinstance(node.op, BatchNorm)
    scale, shift, mean, variance = (
        operand.data.astype(np.float64)
        for operand in node.operands[1:]
        if isinstance(operand, Constant)
    )
    gain = scale / np.sqrt(variance + node.op.epsilon)
    axes = (1,) * (len(node.result.type.shape) - 1)
    return gain.reshape(-1, *axes), (shift - mean * gain).reshape(-1, *axes)
