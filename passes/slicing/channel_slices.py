"""Channel slices: replace one value by several, each of which holds some of its channels.

The rows of the layer's weight matrix are distributed over the values that compute the channels; its
readers distribute their columns. Where a residual sum reads the value, a pointwise convolution with
ones scatters the channels back to their positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value
from qcompiler.ir.ann import Add, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Take
from qcompiler.passes.folding.linear import (
    expand_rows,
    parameters,
    replace_weights,
    weights_by_channel,
)
from qcompiler.passes.quantization.fusion_groups import FusionGroup

from .replicas import ReplicaRewriter
from .slices import unsplit_name


def can_split_channels(graph: Graph, group: FusionGroup) -> bool:
    """Whether a group's layers have weight rows per channel, and its readers weight columns.

    A value that is itself a slice, or holds some channels of another, is not split again.
    """
    name = group.result.name
    layers = (branch.linear for branch in group.branches if branch.linear)
    return (
        group.clip is not None
        and group.gain is None
        and unsplit_name(name) == name
        and all(graph.fresh(part) == part for part in (channels_name(name, i) for i in (0, 1)))
        and all(_has_rows(layer) for layer in layers)
        and _reads_channels(graph, group.result)
    )


def _has_rows(node: Node) -> bool:
    grouped = isinstance(node.op, Conv) and node.op.groups > 1
    return (parameters(node) is not None and not grouped) or weights_by_channel(node) is not None


def _reads_channels(graph: Graph, value: Value) -> bool:
    return not graph.is_output(value) and all(
        isinstance(user.op, Add)
        or (isinstance(user.op, MaxPool) and _reads_channels(graph, user.result))
        or weights_by_channel(user) is not None
        for user in graph.users(value)
    )


def channels_name(name: str, index: int) -> str:
    """Name of a value that holds some channels of another."""
    return f"{name}:channels{index}"


def split_channels(graph: Graph, group: FusionGroup, chosen: Sequence[Array]) -> Graph:
    """Replace a group's result by one value per entry of ``chosen``; the function stays the same.

    Each entry holds ascending channel indices; every channel occurs once. `can_split_channels` must
    hold for the group.
    """
    return _ChannelRewriter(graph, group, chosen).rewritten()


class _ChannelRewriter(ReplicaRewriter):
    def __init__(self, graph: Graph, group: FusionGroup, chosen: Sequence[Array]) -> None:
        super().__init__(graph, group)
        self.chosen = chosen
        self.some_rows: dict[tuple[int, int], Constant] = {}  # of arrays by identity

    def producers(self, clip: Node) -> Iterator[Node]:
        """The layers with the weight rows of each set of channels."""
        made = tuple(self.some(clip.result, index) for index in range(len(self.chosen)))
        self.values[clip.result.name] = made
        for index, result in enumerate(made):
            renamed: dict[str, Operand] = {}
            for node in self.group.nodes[:-1]:
                yield from self.rows(node, index, renamed)
            yield from self.taken(clip.operands, index, renamed)
            times = self.constants(clip, result, index)
            operands = (renamed[clip.operands[0].name], *times)
            yield replace(clip, operands=operands, result=result)

    def rows(self, node: Node, index: int, renamed: dict[str, Operand]) -> Iterator[Node]:
        """A layer or sum with some channels of its result."""
        renamed[node.result.name] = result = self.some(node.result, index)
        if parameters(node) is None:
            yield from self.taken(node.operands, index, renamed)
            sources = [renamed[o.name] for o in node.operands if isinstance(o, Value)]
        else:
            sources = [node.operands[0]]
        constants = self.constants(node, result, index)
        yield replace(node, operands=(*sources, *constants), result=result)

    def constants(self, node: Node, result: Value, index: int) -> Iterator[Constant]:
        """The rows of a node's constants for some channels of its result.

        Layers that read slices of one value have the same weights, and keep them so.
        """
        shape, chosen = node.result.type.shape, self.chosen[index]
        for number, array in enumerate(node.arrays):
            key = id(array), index
            if key not in self.some_rows:
                rows = expand_rows(array, shape)[chosen]
                self.some_rows[key] = Constant(f"{result.name}:{number}", rows)
            yield self.some_rows[key]

    def taken(
        self, operands: Sequence[Operand], index: int, renamed: dict[str, Operand]
    ) -> Iterator[Node]:
        """Select channels of operands that do not come from a layer of the group."""
        for operand in operands:
            if isinstance(operand, Value) and operand.name not in renamed:
                some = self.some(operand, index)
                renamed[operand.name] = result = replace(some, type=some.type.layout)
                yield Node(Take(0, tuple(map(int, self.chosen[index]))), (operand,), result)

    def like(self, node: Node, source: Value, index: int) -> Value:
        """The channels of the pooled value; pools treat channels independently."""
        return self.some(node.result, index)

    def rewrite_add(self, node: Node) -> Iterator[Node]:
        """Extend each operand to all channels, with zeros for the missing ones."""
        one, none = np.eye(node.result.type.shape[0]), np.zeros(())
        operands: list[Operand] = []
        for number, operand in enumerate(node.operands):
            sources = self.values.get(operand.name, ())
            name = f"{node.result.name}:operand{number}"
            made = list(self.read(node, name, sources, one, none))
            yield from made
            operands += [part.result for part in made] or [operand]
        yield replace(node, operands=tuple(operands))

    def rewrite_linear(self, node: Node, sources: Sequence[Value]) -> Iterator[Node]:
        """Apply the matching weight columns to each value and add the results."""
        weight, bias = weights_by_channel(node), node.arrays[1]
        assert weight is not None
        parts = list(self.read(node, node.result.name, sources, weight, bias))
        yield from parts
        yield Node(Add(), tuple(part.result for part in parts), node.result, node.origin)

    def read(
        self, node: Node, name: str, sources: Sequence[Value], weight: Array, bias: Array
    ) -> Iterator[Node]:
        """One linear node per value with its weight columns; the first has the bias."""
        ones = (1,) * (len(node.result.type.shape) - 1)
        pixel = Conv(ones, (0,) * 2 * len(ones), ones) if ones else Dense()
        op = node.op if isinstance(node.op, Conv | Dense) else pixel
        type_ = node.result.type.layout
        for index, (source, chosen) in enumerate(zip(sources, self.chosen, strict=False)):
            result = Value(self.graph.fresh(channels_name(name, index)), type_)
            some = weight.reshape(*weight.shape, *ones[weight.ndim - 2 :]).take(chosen, axis=1)
            full = expand_rows(bias, node.result.type.shape)
            part = Node(op, (), result, node.origin)
            yield replace_weights(part, source, some, np.zeros_like(full) if index else full)

    def some(self, value: Value, index: int) -> Value:
        """A fresh value that holds some channels of another."""
        assert isinstance(value.type, Tensor)
        shape = (len(self.chosen[index]), *value.type.shape[1:])
        name = self.graph.fresh(channels_name(value.name, index))
        return Value(name, replace(value.type, shape=shape))
