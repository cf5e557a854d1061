"""Give channels of layers without an activation their own offsets, where that costs nothing.

One code suits all channels of a value. Without a ReLU one channel may reach from -1 to 0.2 and
another from -0.2 to 1: around their middles both need only 0.6 of that range, to either side. The
middle of each channel is taken off the bias of the layer, and what the readers make of it is added
to theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Conv, Dense
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.data import Images, run, sample
from qcompiler.passes.calibration.snap import snapped
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.linear import expand_rows, fold_before, parameters
from qcompiler.passes.folding.neighbours import affine, with_bias
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.group_index import groups_by_node

CENTRED = ":centred"  # behind the names of values that have offsets
_WORTH = 0.9  # of the mean square of levels' distances: less of it that is left is worth it
_IMAGES = 64


class _Centred(NamedTuple):
    """A group, the value that it makes now, and what this lacks in each channel."""

    group: FusionGroup
    value: Value
    offset: Array


def with_centred_layers(graph: Graph, data: Images) -> Graph:
    """The same network, with the results of layers around zero in each channel."""
    groups = {g.result.name: g for g in fusion_groups(graph) if _can_shift(graph, g)}
    if not groups:
        return graph
    few = sample(data, _IMAGES)
    samples = {name: ChannelSample(len(few[0])) for name in groups}
    for values in run(graph, few, list(samples)):
        for name, array in values.items():
            samples[name].add(array)
    chosen: dict[str, _Centred] = {}
    for name, group in groups.items():
        low, high = samples[name].ends()
        reach, half = np.maximum(np.abs(low), np.abs(high)), (high - low) / 2
        left = np.square(half / np.where(reach > 0, reach, 1.0)).mean()
        if left < _WORTH:
            value = replace(group.result, name=graph.fresh(name + CENTRED))
            offset = _spread(snapped((low + high) / 2), group.result)
            chosen[name] = _Centred(group, value, offset)
    return replace(graph, nodes=tuple(_shifted(graph, chosen))) if chosen else graph


def _can_shift(graph: Graph, group: FusionGroup) -> bool:
    """Whether a group is a layer, or sum with one, whose readers' biases take an offset in."""
    value = group.result
    if group.clip or group.gain or is_code(value) or graph.is_output(value):
        return False
    users = graph.users(value)
    return _layer(group) is not None and bool(users) and all(_takes(graph, u) for u in users)


def _layer(group: FusionGroup) -> Node | None:
    layers = (branch.linear for branch in group.branches)
    return next((node for node in layers if node and parameters(node) is not None), None)


def _takes(graph: Graph, reader: Node) -> bool:
    """Whether an offset goes into the bias of a reader, or of a layer that it is added to."""
    if isinstance(reader.op, Add):
        group = groups_by_node(graph).get(reader.result.name)
        return group is not None and group.total is reader and _layer(group) is not None
    borders = isinstance(reader.op, Conv) and any(reader.op.pads)
    return isinstance(reader.op, Conv | Dense) and parameters(reader) is not None and not borders


def _shifted(graph: Graph, chosen: dict[str, _Centred]) -> Iterator[Node]:
    """All nodes, with the offsets in their biases."""
    more: dict[str, Array] = {}
    for centred in chosen.values():
        _add(more, centred.group, -centred.offset)
        for reader in graph.users(centred.group.result):
            if isinstance(reader.op, Add):
                _add(more, groups_by_node(graph)[reader.result.name], centred.offset)
    for node in graph.nodes:
        new = node
        for name in {operand.name for operand in node.operands} & chosen.keys():
            new = _reading(new, chosen[name])
        if node.result.name in more:
            bias = expand_rows(new.arrays[-1], node.result.type.shape)
            new = with_bias(new, (bias + more[node.result.name]).astype(np.float32))
        made = chosen.get(node.result.name)
        yield replace(new, result=made.value) if made else new


def _add(more: dict[str, Array], group: FusionGroup, offset: Array) -> None:
    layer = _layer(group)
    assert layer is not None
    more[layer.result.name] = more.get(layer.result.name, 0.0) + offset


def _reading(node: Node, centred: _Centred) -> Node:
    """A node that reads the value around zero in place of the other."""
    old, new = centred.group.result, centred.value
    if isinstance(node.op, Add):
        operands = (new if operand == old else operand for operand in node.operands)
        return replace(node, operands=tuple(operands))
    one = np.ones_like(centred.offset)
    before = affine(new, one, centred.offset, old, centred.group.origin)
    found = fold_before(node, before, one, centred.offset)
    assert found is not None
    return replace(found, origin=node.origin)


def _spread(array: Array, value: Value) -> Array:
    return array.reshape(-1, *(1,) * (len(value.type.shape) - 1))
