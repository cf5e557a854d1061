"""One value as a sum of several, each of them a slice of its range.

    clip(x, 0, ..) = clip(x, 0, w) + clip(x - w, 0, w) + .. + clip(x - (n - 1) w, 0, ..)

All that reads the value reads every slice: a maximum or a view of each, a linear layer as the sum
of its results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Tensor, Value, rewrite
from qcompiler.ir.ann import Add, Affine, Clip, MaxPool, SumPool
from qcompiler.ir.view import View

from .fold_linear import SUMS
from .groups import Group
from .linear import parameters
from .neighbours import copied, distributed, rebiased

_SLICE = re.compile(r":slice\d+$")


def can_slice(graph: Graph, group: Group) -> bool:
    """Whether a group ends in a ReLU, and everything that reads it can read several values."""
    clip = group.clip.op if group.clip else None
    if clip != Clip(0.0) or group.gain is not None:
        return False
    return _shifted(group) is not None and _reads_several(graph, group.result)


def _reads_several(graph: Graph, value: Value) -> bool:
    return not graph.is_output(value) and all(
        isinstance(user.op, Add | SumPool | Affine)
        or parameters(user) is not None
        or (isinstance(user.op, MaxPool | View) and _reads_several(graph, user.result))
        for user in graph.users(value)
    )


def _shifted(group: Group) -> Node | None:
    """The layer of a group whose bias can take a shift in."""
    layers = (branch.linear for branch in group.branches)
    return next((node for node in layers if node and parameters(node) is not None), None)


def slice_name(name: str, index: int) -> str:
    """Name of a slice of a value."""
    return f"{name}:slice{index}"


def whole_name(name: str) -> str:
    """Name of the value that something of this name is a slice of; else the name itself."""
    return _SLICE.sub("", name)


def sliced(graph: Graph, group: Group, width: float, count: int) -> Graph:
    """The same function with a group's result in slices.

    All have the range ``0 .. width``; the values of the last one may go beyond.
    """
    nodes = tuple(_Slices(graph, group, width, count).nodes())
    return rewrite(replace(graph, nodes=nodes), *SUMS)


class _Slices:
    def __init__(self, graph: Graph, group: Group, width: float, count: int) -> None:
        self.graph, self.group, self.count = graph, group, count
        self.width = float(np.float32(width))
        self.slices: dict[str, tuple[Value, ...]] = {}

    def nodes(self) -> Iterator[Node]:
        """The nodes of the graph, with what takes the place of the value and its readers."""
        for node in self.graph.nodes:
            if node is self.group.clip:
                yield from self.clips(node)
            elif any(operand.name in self.slices for operand in node.operands):
                yield from self.reader(node)
            else:
                yield node

    def clips(self, node: Node) -> Iterator[Node]:
        """The slices, each but the first behind a copy of the layer."""
        assert isinstance(node.result.type, Tensor)
        type_ = replace(node.result.type, range=(0.0, self.width))
        made = tuple(replace(self.part(node, i), type=type_) for i in range(self.count))
        self.slices[node.result.name] = made
        for index, result in enumerate(made):
            copies = self.copies(index) if index else []
            yield from copies
            op = Clip(0.0, self.width) if result is not made[-1] else node.op
            operands = (copies[-1].result,) if copies else node.operands
            yield replace(node, op=op, operands=operands, result=result)

    def copies(self, index: int) -> list[Node]:
        """The nodes before the clip once more, their sum less by so many widths."""
        before, shifted = self.group.nodes[:-1], _shifted(self.group)
        copies = copied(before, lambda name: self.name(name, index))
        return [
            self.lessened(copy, index) if node is shifted else copy
            for node, copy in zip(before, copies, strict=True)
        ]

    def lessened(self, node: Node, index: int) -> Node:
        """A layer whose bias is less by so many widths."""
        bias = node.operands[-1]
        assert isinstance(bias, Constant)
        return rebiased(node, bias.data - np.float32(index * self.width))

    def reader(self, node: Node) -> Iterator[Node]:
        """What reads the slices in place of what read the whole."""
        if isinstance(node.op, Add):
            both = (self.slices.get(operand.name, (operand,)) for operand in node.operands)
            yield replace(node, operands=tuple(one for some in both for one in some))
            return
        sources, name = self.slices[node.operands[0].name], node.result.name
        if isinstance(node.op, MaxPool | View):
            others = node.operands[1:]
            made = [
                replace(node, operands=(source, *others), result=self.part(node, index))
                for index, source in enumerate(sources)
            ]
            self.slices[name] = tuple(copy.result for copy in made)
            yield from made
        else:
            yield from distributed(node, sources, lambda index: self.name(name, index))

    def part(self, node: Node, index: int) -> Value:
        """A fresh value like a node's result."""
        return replace(node.result, name=self.name(node.result.name, index))

    def name(self, name: str, index: int) -> str:
        """A fresh name for a slice."""
        return self.graph.fresh(slice_name(name, index))
