"""Fold an image that is enlarged by linear interpolation into the convolution that reads it.

Every phase of the enlarged image is then a channel of a convolution of the small one; the pixels
are brought back to their places by views. Borders, where the interpolation stops and the padding
of the enlarged image begins, get branches of their own, each from one line of pixels to another.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Value, infer, origins
from qcompiler.ir.ann import Add, Conv
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape, Take, Transpose
from qcompiler.passes.folding.linear import parameters

from .axis_matrix import Way
from .interpolation import Stretch, stretch_of


def resize_into_conv(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A convolution of an enlarged image, or a sum of such and others, without that image."""
    convs = _convs(node, graph)
    found = [stretch_of(conv, graph) for conv in convs]
    factors = {_factors(stretch) for stretch in found if stretch}
    if len(factors) != 1 or (factor := factors.pop()) is None:
        return None
    new = _New(graph, node, factor)
    for conv, stretch in zip(convs, found, strict=True):
        ways = _stretched(conv, stretch, factor) if stretch else _strided(conv, factor)
        if ways is None:
            return None
        if stretch:
            new.merged.append(stretch.node)
        new.layer(conv, stretch.source if stretch else conv.operands[0], ways)
    return new.done()


def _convs(node: Node, graph: Graph) -> list[Node]:
    """The convolutions that a node is, or adds up, if they keep the size of the image."""
    if isinstance(node.op, Conv):
        reader = graph.only_user(node.result)
        found = [] if reader is not None and isinstance(reader.op, Add) else [node]
    elif isinstance(node.op, Add):
        producers = [graph.producer(operand) for operand in node.operands]
        found = [n for n in producers if n is not None and graph.only_user(n.result) is node]
        found = found if len(found) == len(node.operands) else []
    else:
        return []
    return found if all(map(_keeps_size, found)) else []


def _keeps_size(conv: Node) -> bool:
    op = conv.op
    plain = isinstance(op, Conv) and op.groups == 1 and {*op.strides, *op.dilations} == {1}
    same = conv.operands[0].type.shape[1:] == conv.result.type.shape[1:]
    return plain and same and parameters(conv) is not None


def _factors(stretch: Stretch) -> tuple[int, ...] | None:
    sizes = [matrix.shape for matrix in stretch.matrices]
    whole = all(out % length == 0 for out, length in sizes)
    return tuple(out // length for out, length in sizes) if whole else None


def _strided(conv: Node, factor: tuple[int, ...]) -> list[list[Way]]:
    """The phases of what a convolution makes of an image that is large already."""
    assert isinstance(conv.op, Conv)
    rank, kernel = len(factor), conv.operands[1].type.shape[2:]
    ways = []
    for axis, (taps, phases) in enumerate(zip(kernel, factor, strict=True)):
        chosen = np.zeros((taps, phases, taps + phases - 1))
        for tap, phase in product(range(taps), range(phases)):
            chosen[tap, phase, tap + phase] = 1
        ways.append([Way(chosen, (conv.op.pads[axis], conv.op.pads[rank + axis]), phases)])
    return ways


def _stretched(conv: Node, stretch: Stretch, factor: tuple[int, ...]) -> list[list[Way]] | None:
    """The same of an image that is enlarged; None if that takes more synapses than the image."""
    assert isinstance(conv.op, Conv)
    outputs, channels, *kernel = conv.operands[1].type.shape
    rows = zip(stretch.matrices, kernel, conv.op.pads, factor, strict=False)
    found = [matrix.ways(taps, pad, phases) for matrix, taps, pad, phases in rows]
    ways = [axis for axis in found if axis is not None]
    if len(ways) < len(found):
        return None
    taps = [np.count_nonzero(axis[0].weights.any(axis=0)) for axis in ways]
    pixels = prod(matrix.shape[0] for matrix in stretch.matrices)
    alone = channels * prod(len(matrix.values) for matrix in stretch.matrices)
    small = pixels // prod(factor)
    folded = outputs * channels * prod(taps) * small
    return ways if folded <= outputs * channels * prod(kernel) * pixels + alone else None


class _New:
    """The nodes that stand for one."""

    def __init__(self, graph: Graph, node: Node, factor: tuple[int, ...]) -> None:
        self.graph, self.node, self.factor = graph, node, factor
        self.merged: list[Node] = []
        self.nodes: list[Node] = []
        self.branches: list[Value] = []

    def layer(self, conv: Node, source: Operand, ways: list[list[Way]]) -> None:
        """Add what a convolution gives, a branch for every combination of ways."""
        found = parameters(conv)
        assert found is not None
        weight, bias = found[0].astype(np.float64), self._phases(found[1])
        for branch, chosen in enumerate(product(*ways)):
            kernel = _kernel(weight, chosen)
            if branch and not kernel.any():  # the first one has the bias
                continue
            image = source
            for axis, way in enumerate(chosen, 1):
                if way.line is not None:
                    image = self._add(Take(axis, (way.line,)), image)
            begins, ends = zip(*(way.pads for way in chosen), strict=True)
            strides = tuple(way.stride for way in chosen)
            op = Conv(strides, (*begins, *ends), (1,) * len(chosen), 1)
            constants = (
                Constant(self._name("weight"), kernel.astype(np.float32)),
                Constant(self._name("bias"), bias.astype(np.float32)),
            )
            self.branches.append(self._add(op, image, *constants))
            bias = np.zeros_like(bias)

    def done(self) -> tuple[Node, ...]:
        """Sum up the branches, and bring the phases to their places."""
        outputs, *space = self.node.result.type.shape
        rank, alone = len(self.factor), len(self.branches) == 1
        total = self.branches[0] if alone else self._add(Add(), *self.branches)
        small = [length // phases for length, phases in zip(space, self.factor, strict=True)]
        split = self._add(Reshape((outputs, *self.factor, *small)), total)
        perm = (0, *(axis for k in range(rank) for axis in (1 + rank + k, 1 + k)))
        turned = self._add(Transpose(perm), split)
        self._add(Reshape((outputs, *space)), turned)
        self.nodes[-1] = replace(self.nodes[-1], result=self.node.result)
        origin = origins(*self.merged, self.node)
        return tuple(replace(node, origin=origin) for node in self.nodes)

    def _phases(self, bias: Array) -> Array:
        """A bias of the whole image, as one of the phases."""
        outputs, *space = self.node.result.type.shape
        if all(length == 1 for length in bias.shape[1:]):
            spread = np.broadcast_to(bias.reshape(-1), (outputs,))
            return np.repeat(spread, prod(self.factor)).reshape(-1, *(1,) * len(space))
        pairs = [(n // s, s) for n, s in zip(space, self.factor, strict=True)]
        full = np.broadcast_to(bias, (outputs, *space))
        split = full.reshape(outputs, *(length for pair in pairs for length in pair))
        rank = len(pairs)
        perm = (0, *(2 + 2 * k for k in range(rank)), *(1 + 2 * k for k in range(rank)))
        return split.transpose(perm).reshape(-1, *(n for n, _ in pairs))

    def _name(self, role: str) -> str:
        return f"{self.node.result.name}:{role}{len(self.nodes)}"

    def _add(self, op: Op, *operands: Operand) -> Value:
        name = self.graph.fresh(self._name("phase"))
        value = Value(name, infer(op, operands, self.node.origin))
        self.nodes.append(Node(op, operands, value, self.node.origin))
        return value


def _kernel(weight: Array, ways: tuple[Way, ...]) -> Array:
    """The kernels of all phases: ``O phases x C x d``."""
    rank = len(ways)
    taps, phases, places = (list(range(2 + k * rank, 2 + (k + 1) * rank)) for k in range(3))
    operands: list[object] = [weight, [0, 1, *taps]]
    for way, *labels in zip(ways, taps, phases, places, strict=True):
        operands += [way.weights, labels]
    found: Array = np.einsum(*operands, [0, *phases, 1, *places])  # type: ignore[call-overload]
    return found.reshape(-1, *found.shape[1 + rank :])
