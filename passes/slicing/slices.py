"""Range slices: represent one value as a sum of replicas, each of which covers part of its range.

    clip(x, 0, ..) = clip(x, 0, w) + clip(x - w, 0, w) + .. + clip(x - (n - 1) w, 0, ..)

Every reader of the value reads every slice: a max pool or a view handles each slice, a linear layer
sums the results of all slices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, MaxPool, SumPool
from qcompiler.ir.view import View
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.linear import elements_summed, parameters
from qcompiler.passes.folding.neighbours import copy_nodes, distribute_over_sum, with_bias
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.group_index import groups_by_node

from .replicas import ReplicaRewriter

_FEW_INPUTS = 32
_SLICE, _CHANNELS = re.compile(r"((:slice\d+)+|:digit\d+)$"), re.compile(r":channels\d+$")


def can_slice(graph: Graph, group: FusionGroup) -> bool:
    """Whether a group ends in a ReLU, bounded or not, and its readers can read several replicas."""
    clip = group.clip.op if group.clip else None
    if not isinstance(clip, Clip) or clip.low != 0 or group.gain or is_code(group.result):
        return False
    return _shifted(group) is not None and _reads_several(graph, group.result)


def _reads_several(graph: Graph, value: Value) -> bool:
    return not graph.is_output(value) and all(
        isinstance(user.op, Add | SumPool | Affine)
        or parameters(user) is not None
        or (isinstance(user.op, MaxPool | View) and _reads_several(graph, user.result))
        for user in graph.users(value)
    )


def readers_of(graph: Graph, value: Value) -> Iterator[FusionGroup]:
    """The groups that read a value, or a pool or view of it."""
    groups = groups_by_node(graph)
    names, seen = [value], set[str]()
    while names:
        for user in graph.users(names.pop()):
            if isinstance(user.op, MaxPool | View):
                names.append(user.result)
            elif user.result.name in groups and user.result.name not in seen:
                seen.add(user.result.name)
                yield groups[user.result.name]


def around_depthwise(graph: Graph) -> set[str]:
    """Names of the values that depthwise layers, or other groups of few inputs, read or make.

    A layer cannot be fitted to much of their noise: it has few weights a neuron.
    """
    found = set()
    for group in fusion_groups(graph):
        for branch in group.branches:
            node = branch.linear
            grouped = node is not None and isinstance(node.op, Conv) and node.op.groups > 1
            if node is not None and grouped and elements_summed(node) <= _FEW_INPUTS:
                found |= {branch.source.name, group.result.name}
    return found


def _shifted(group: FusionGroup) -> Node | None:
    """The layer of a group whose bias can absorb a shift."""
    layers = (branch.linear for branch in group.branches)
    return next((node for node in layers if node and parameters(node) is not None), None)


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


def split_range(graph: Graph, group: FusionGroup, width: float, count: int) -> Graph:
    """Split the range of a group's result into ``count`` slices; the function stays the same.

    All slices have the range ``0 .. width``; values of the last slice may exceed it. The bounds of
    the clip limit the width.
    """
    return SliceRewriter(graph, group, width, count).rewritten()


class SliceRewriter(ReplicaRewriter):
    """Slices of one ``width``, ``count`` of them."""

    def __init__(self, graph: Graph, group: FusionGroup, width: float, count: int) -> None:
        super().__init__(graph, group)
        assert group.clip and isinstance(group.clip.op, Clip)
        most = width if group.clip.op.high is None else group.clip.op.high / count
        self.count, self.width = count, float(np.float32(min(width, most)))

    def producers(self, clip: Node) -> Iterator[Node]:
        """The slices; each but the first follows a copy of the layer."""
        assert isinstance(clip.result.type, Tensor)
        type_ = replace(clip.result.type, range=(0.0, self.width))
        made = tuple(replace(self.part(clip, i), type=type_) for i in range(self.count))
        self.values[clip.result.name] = made
        for index, result in enumerate(made):
            copies = self.copies(index) if index else []
            yield from copies
            source = copies[-1].result if copies else clip.operands[0]
            if result is not made[-1]:
                node = replace(clip, op=Clip(0.0, self.width), operands=(source,))
            else:
                node = self.last(clip, source)
            yield replace(node, result=result)

    def last(self, clip: Node, source: Operand) -> Node:
        """The clip of the last slice, which has what the others leave of the bounds."""
        return self.bounded(clip, source, (self.count - 1) * self.width)

    def bounded(self, clip: Node, source: Operand, taken: float) -> Node:
        """The clip with upper bounds that are lower by what is ``taken``."""
        assert isinstance(clip.op, Clip)
        high = clip.op.high
        if high is None:
            return replace(clip, operands=(source,))
        name, left = f"{clip.result.name}:times", high - taken
        times = (np.maximum((high * array - taken) / left, 1) for array in clip.arrays)
        constants = (Constant(name, array.astype(np.float32)) for array in times)
        return replace(clip, op=Clip(0.0, left), operands=(source, *constants))

    def copies(self, index: int) -> list[Node]:
        """A copy of the nodes before the clip, with ``index * width`` subtracted from the bias."""
        return self.shifted_copies(index, index)

    def shifted_copies(self, index: int, widths: float) -> list[Node]:
        """A copy of the nodes before the clip, with some widths subtracted from the bias."""
        before, shifted = self.group.nodes[:-1], _shifted(self.group)
        assert shifted is not None
        copies = copy_nodes(before, lambda name: self.name(name, index))
        return [
            self.with_shifted_bias(copy, widths) if node is shifted else copy
            for node, copy in zip(before, copies, strict=True)
        ]

    def with_shifted_bias(self, node: Node, widths: float) -> Node:
        """A layer with some widths subtracted from its bias."""
        bias = node.operands[-1]
        assert isinstance(bias, Constant)
        return with_bias(node, bias.data - np.float32(widths * self.width))

    def like(self, node: Node, source: Value, index: int) -> Value:
        """A slice of the result; all slices have the same type."""
        return self.part(node, index)

    def rewrite_add(self, node: Node) -> Iterator[Node]:
        """Add all slices as operands of the sum."""
        both = (self.values.get(operand.name, (operand,)) for operand in node.operands)
        yield replace(node, operands=tuple(one for some in both for one in some))

    def rewrite_linear(self, node: Node, sources: Sequence[Value]) -> Iterator[Node]:
        """Apply the linear layer to each slice and add the results."""
        yield from distribute_over_sum(
            node, sources, lambda index: self.name(node.result.name, index)
        )

    def part(self, node: Node, index: int) -> Value:
        """A fresh value like a node's result."""
        return replace(node.result, name=self.name(node.result.name, index))

    def name(self, name: str, index: int) -> str:
        """A fresh name for a slice."""
        return self.graph.fresh(slice_name(name, index))
