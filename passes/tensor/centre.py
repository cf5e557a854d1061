"""Give channels of a function that lie far from zero, beside their spread, their own offsets.

A saturated Sigmoid gives values from 0.98 to 0.99: a code that has zero as a level has one level
for all of them. The middle of each channel is subtracted behind the function, as its shift, and
added before the layers that read it, into whose biases it folds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Add, Affine, Conv, Dense, Function
from qcompiler.ir.ann.formula import JUMPS
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.data import run, sample
from qcompiler.passes.folding.channel_scales import with_gain
from qcompiler.passes.folding.neighbours import affine
from qcompiler.passes.quantization.levels import spiking_values

from .centre_layers import CENTRED
from .fold_linear import FoldLinear

_FAR = 4.0  # times its width that a channel reaches from zero: two bits are lost
_IMAGES = 64


def centred(graph: Graph, data: tuple[Array, ...]) -> Graph:
    """The same network, with functions around zero in each channel where that costs nothing."""
    found = [node for node in graph.nodes if _can_shift(graph, node)]
    if not found:
        return graph
    few = sample(data, _IMAGES)
    samples = {node.result.name: ChannelSample(len(few[0])) for node in found}
    for values in run(graph, few, list(samples)):
        for name, array in values.items():
            samples[name].add(array)
    for name, channels in samples.items():
        low, high = channels.ends()
        width, reach = high - low, np.maximum(np.abs(low), np.abs(high))
        if np.any((width > 0) & (reach > _FAR * width)):
            # Anew, as folding what the function before was shifted by may have changed this node.
            node = next((one for one in graph.nodes if one.result.name == name), None)
            if node is not None and _can_shift(graph, node):
                graph = _shifted(graph, node, (low + high) / 2)
    return graph


def _can_shift(graph: Graph, node: Node) -> bool:
    """Whether a node is a continuous function that layers read, which take an offset in."""
    if not isinstance(node.op, Function) or JUMPS & {*node.op.formula.split()} or node.arrays:
        return False
    users = graph.users(node.result)
    layers = all(isinstance(user.op, Conv | Dense | Affine | Add) for user in users)
    return (
        bool(users)
        and layers
        and len(node.result.type.shape) > 0
        and not graph.is_output(node.result)
    )


def _shifted(graph: Graph, node: Node, middle: Array) -> Graph:
    """The graph with the middle of each channel subtracted, unless that takes a population.

    What is left has another name, with which its offsets are noted.
    """
    offset = middle.reshape(-1, *(1,) * (len(node.result.type.shape) - 1))
    value = replace(node.result, name=graph.fresh(node.result.name + CENTRED))
    made = with_gain(replace(node, result=value), np.ones_like(offset), -offset)
    nodes: list[Node] = []
    for one in graph.nodes:
        if one is node:
            one = made
        elif node.result in one.operands:
            raw = Value(graph.fresh(f"{one.result.name}:raw"), node.result.type.layout)
            nodes.append(affine(made.result, np.ones_like(offset), offset, raw, node.origin))
            operands = (raw if operand == node.result else operand for operand in one.operands)
            one = replace(one, operands=tuple(operands))
        nodes.append(one)
    changed = FoldLinear()(replace(graph, nodes=tuple(nodes)))
    return changed if len(spiking_values(changed)) <= len(spiking_values(graph)) else graph
