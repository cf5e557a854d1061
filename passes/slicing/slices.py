"""Range slices: represent one value as a sum of replicas, each of which covers part of its range.

    clip(x, 0, ..) = clip(x, 0, w) + clip(x - w, 0, w) + .. + clip(x - (n - 1) w, 0, ..)

The lowest slice of a value that has no ReLU begins at the low end of its range instead of at 0.
Every reader of the value reads every slice: a max pool or a view handles each slice, a linear layer
sums the results of all slices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value
from qcompiler.ir.ann import Clip
from qcompiler.passes.folding.neighbours import copy_nodes, distribute_over_sum, with_bias
from qcompiler.passes.quantization.fusion_groups import FusionGroup

from .replicas import ReplicaRewriter
from .sliceable import shifted_layer

_SLICE, _CHANNELS = re.compile(r"((:slice\d+)+|:digit\d+)$"), re.compile(r":channels\d+$")


def slice_name(name: str, index: int) -> str:
    """Name of a slice of a value."""
    return f"{name}:slice{index}"


def digit_name(name: str, place: int) -> str:
    """Name of a digit of a value; 0 is the lowest."""
    return f"{name}:digit{place}"


def unsliced_name(name: str) -> str:
    """The name without its suffix of a slice or digit."""
    return _SLICE.sub("", name)


def unsplit_name(name: str) -> str:
    """The name without its slice and channel suffixes."""
    return _CHANNELS.sub("", unsliced_name(name))


def split_range(
    graph: Graph, group: FusionGroup, width: float, count: int, low: float = 0.0
) -> Graph:
    """Split the range of a group's result into ``count`` slices; the function stays the same.

    All slices have the same ``width``. The lowest begins at ``low``, the others at 0; values may
    exceed the ends of all. The group has a clip. Its lower bound is not above ``low``; its upper
    bound limits the width behind a ReLU, and else lies in the last slice.
    """
    return SliceRewriter(graph, group, width, count, low).rewritten()


class SliceRewriter(ReplicaRewriter):
    """Slices of one ``width``, ``count`` of them, from ``low`` on."""

    def __init__(
        self, graph: Graph, group: FusionGroup, width: float, count: int, low: float
    ) -> None:
        super().__init__(graph, group)
        assert group.clip and isinstance(group.clip.op, Clip)
        high = group.clip.op.high
        most = width if high is None or low else high / count
        self.count, self.width = count, float(np.float32(min(width, most)))
        self.low = float(np.float32(low))

    def producers(self, clip: Node) -> Iterator[Node]:
        """The slices; each but the first follows a copy of the layer."""
        assert isinstance(clip.op, Clip) and isinstance(clip.result.type, Tensor)
        made = tuple(self.slice(clip, index) for index in range(self.count))
        self.values[clip.result.name] = made
        for index, result in enumerate(made):
            copies = self.copies(index) if index else []
            yield from copies
            source = copies[-1].result if copies else clip.operands[0]
            if result is made[-1]:
                node = self.last(clip, source)
            elif index:
                node = replace(clip, op=Clip(0.0, self.width), operands=(source,))
            else:
                bounds = Clip(clip.op.low, self.low + self.width)
                node = replace(clip, op=bounds, operands=(source,))
            yield replace(node, result=result)

    def slice(self, clip: Node, index: int) -> Value:
        """A slice with its range."""
        low = 0.0 if index else self.low
        found = self.part(clip, index)
        assert isinstance(found.type, Tensor)
        return replace(found, type=replace(found.type, range=(low, low + self.width)))

    def last(self, clip: Node, source: Operand) -> Node:
        """The clip of the last slice, which has what the others leave of the bounds."""
        return self.bounded(clip, source, 0.0, self.low + (self.count - 1) * self.width)

    def bounded(self, clip: Node, source: Operand, low: float | None, taken: float) -> Node:
        """The clip from ``low`` on, with upper bounds that are lower by what is ``taken``."""
        assert isinstance(clip.op, Clip)
        high = clip.op.high
        if high is None:
            return replace(clip, op=Clip(low), operands=(source,))
        name, left = f"{clip.result.name}:times", high - taken
        times = (np.maximum((high * array - taken) / left, 1) for array in clip.arrays)
        constants = (Constant(name, array.astype(np.float32)) for array in times)
        return replace(clip, op=Clip(low, left), operands=(source, *constants))

    def copies(self, index: int) -> list[Node]:
        """A copy of the nodes before the clip, less where the slice begins."""
        return self.shifted_copies(index, self.low + index * self.width)

    def shifted_copies(self, index: int, shift: float) -> list[Node]:
        """A copy of the nodes before the clip, with a shift subtracted from the bias."""
        before, shifted = self.group.nodes[:-1], shifted_layer(self.group)
        assert shifted is not None
        copies = copy_nodes(before, lambda name: self.name(name, index))
        return [
            self.with_shifted_bias(copy, shift) if node is shifted else copy
            for node, copy in zip(before, copies, strict=True)
        ]

    def with_shifted_bias(self, node: Node, shift: float) -> Node:
        """A layer with a shift subtracted from its bias."""
        bias = node.operands[-1]
        assert isinstance(bias, Constant)
        return with_bias(node, bias.data - np.float32(shift))

    def like(self, node: Node, source: Value, index: int) -> Value:
        """A slice of the result; all slices have the same type."""
        return self.part(node, index)

    def rewrite_add(self, node: Node) -> Iterator[Node]:
        """Add all slices as operands of the sum."""
        both = (self.values.get(operand.name, (operand,)) for operand in node.operands)
        yield replace(node, operands=tuple(one for some in both for one in some))

    def rewrite_linear(self, node: Node, sources: Sequence[Value]) -> Iterator[Node]:
        """Apply the linear layer to each slice and add the results."""
        name = node.result.name  # whose slices have other names
        yield from distribute_over_sum(
            node, sources, lambda index: self.graph.fresh(f"{name}:from{index}")
        )

    def part(self, node: Node, index: int) -> Value:
        """A fresh value like a node's result."""
        return replace(node.result, name=self.name(node.result.name, index))

    def name(self, name: str, index: int) -> str:
        """A fresh name for a slice."""
        return self.graph.fresh(slice_name(name, index))
