"""Turn magnitudes of pairs into sums of ReLUs: squares have twice the range, in bits, of values.

A magnitude ``sqrt(a^2 + b^2)`` of what two layers make, such as the real and the imaginary part of
a spectrum, is nearly proportional to the sum of the positive ones of the projections of ``(a, b)``
onto directions at equal angles. The layers' weights take the projections in. The error is a share
of each magnitude, however small that is; that of a square root is a share of the largest one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import (
    Constant,
    Graph,
    Invariant,
    Node,
    Operand,
    Tensor,
    Value,
    origins,
    rewrite,
)
from qcompiler.ir.ann import Add, Clip, Conv, Dense, Function, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.ir.view import Reshape
from qcompiler.passes.base import Pass
from qcompiler.passes.folding.linear import replace_weights
from qcompiler.passes.folding.neighbours import affine, is_ranged, only_producer

from .magnitude_pairs import SQUARE, Pair, pair_of

_ROOTS = ("x sqrt", "x 0 max sqrt", "x 0.5 ^")
_FLAT = frozenset({"sqrt", "log"})  # of a sum of squares: flatter in its root
_LEVEL = 1 / 4  # level that directions may err by
_FEWEST, _MOST = 3, 33  # directions


@dataclass(frozen=True)
class LowerMagnitudes(Pass):
    """Turn ``sqrt(a^2 + b^2)`` into ReLUs of directions.

    ``a`` and ``b`` are what two layers make of one value, or the halves of one layer's channels.
    Logarithms of such sums, and roots of sums with a constant, become functions of the magnitude.
    ``activation_error`` is the largest error as a share of a magnitude; 0 is a quarter of a level,
    as rounding of the directions comes on top.
    """

    name: ClassVar[str] = "lower-magnitudes"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    t_max: int = 16
    activation_error: float = 0.0

    def __call__(self, graph: Graph) -> Graph:
        """Replace every magnitude whose layers can hold its directions."""
        count = directions_for(self.activation_error or _LEVEL / self.t_max)
        return rewrite(graph, lambda node, within: _lowered(node, within, count))


def directions_for(bound: float) -> int:
    """The fewest directions whose error is within a share of the magnitude.

    Of an odd number n, twice as many axes count: the sum of the positive projections has its
    maxima at angles of pi / n, and falls to cos(pi / 2n) of these between them.
    """
    enough = (n for n in range(_FEWEST, _MOST, 2) if _ripple(n) <= bound)
    return next(enough, _MOST)


def _ripple(count: int) -> float:
    return float(1 - np.cos(np.pi / (2 * count))) / 2


def _lowered(node: Node, graph: Graph, count: int) -> tuple[Node, ...] | None:
    if not isinstance(node.op, Function):
        return None
    if node.op.formula not in _ROOTS and not _FLAT & {*node.op.formula.split()}:
        return None
    total = only_producer(node, graph, Add | SumPool)
    pair = total and pair_of(total, graph)
    if not pair or is_ranged(node.result):
        return None
    *made, magnitude = _magnitude(graph, node, pair, count)
    if node.op.formula in _ROOTS and not node.arrays:
        return (*made, replace(magnitude, result=node.result))
    if node.op.formula in _ROOTS:
        scale, shift = (*node.arrays, np.zeros_like(node.arrays[0]))[:2]
        behind = affine(magnitude.result, scale, shift, node.result, node.origin)
    else:
        words = (SQUARE if word == "x" else word for word in node.op.formula.split())
        operands: tuple[Operand, ...] = (magnitude.result, *node.operands[1:])
        behind = replace(node, op=Function(" ".join(words)), operands=operands)
    return (*made, magnitude, behind)


def _magnitude(graph: Graph, node: Node, pair: Pair, count: int) -> list[Node]:
    """The positive projections of each pair, and their sum, by channel and direction.

    The mean of all magnitudes is as it was: the mean of a positive cosine is 1 / pi.
    """
    layer, name = pair.layer, graph.fresh(f"{node.result.name}:magnitude")
    (a, p), (b, q) = pair.first, pair.second
    angles = 2 * np.pi * np.arange(count) / count
    weight, bias = (_projected(angles, *both) for both in ((a, b), (p, q)))
    channels = weight.shape[0]
    space = layer.result.type.shape[1:]
    ends = [Value(f"{name}:{end}", Tensor((channels, *space))) for end in ("pairs", "directions")]
    blamed = origins(*pair.merged, node)
    project = replace_weights(replace(layer, result=ends[0]), layer.operands[0], weight, bias)
    positive = Node(Clip(0.0), (ends[0],), ends[1], blamed)
    shape = (channels // count, *space)
    made = [replace(project, origin=blamed), positive]
    made.append(_sum(ends[1], Value(f"{name}:sums", Tensor(shape)), count, blamed))
    for at, view in enumerate(pair.views):
        result = Value(f"{name}:view{at}", view.result.type.layout)
        made.append(replace(view, operands=(made[-1].result, *view.operands[1:]), result=result))
    if made[-1].result.type.shape != node.result.type.shape:
        op, read = Reshape(node.result.type.shape), made[-1].result
        made.append(Node(op, (read,), Value(f"{name}:shaped", Tensor(op.shape)), blamed))
    made[-1] = replace(made[-1], result=Value(name, node.result.type.layout))
    return made


def _projected(angles: Array, a: Array, b: Array) -> Array:
    """Rows of two arrays projected onto directions; the directions of a row are neighbours."""
    a, b = (array.astype(np.float64)[:, None] for array in (a, b))
    turned = angles.reshape(-1, *(1,) * (a.ndim - 2))
    found: Array = (np.cos(turned) * a + np.sin(turned) * b) * np.pi / len(angles)
    return found.reshape(-1, *a.shape[2:])


def _sum(source: Value, result: Value, count: int, origin: tuple[str, ...]) -> Node:
    """The sum of as many neighbouring channels each."""
    channels, *space = result.type.shape
    zero = Constant(f"{result.name}:bias", np.zeros((channels, *(1,) * len(space)), np.float32))
    if not space:
        ones = np.kron(np.eye(channels, dtype=np.float32), np.ones((1, count), np.float32))
        op: Dense | Conv = Dense()
    else:
        ones = np.ones((channels, count, *(1,) * len(space)), np.float32)
        rank = len(space)
        op = Conv((1,) * rank, (0,) * 2 * rank, (1,) * rank, channels)
    return Node(op, (source, Constant(f"{result.name}:weight", ones), zero), result, origin)
