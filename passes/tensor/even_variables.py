"""A scale of each channel for what functions read, once sums of clips stand for the functions.

A function is no multiple of itself, so `equalize` cannot scale its variable. Behind
`lower-activations` layers read it, and take scales in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Tensor, drop_dead
from qcompiler.ir.ann import Add, Affine, Conv, Dense, Function
from qcompiler.ir.kernels import Array
from qcompiler.ir.rewriting.rewrite import rewrite
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.data import Images, run
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.channel_scales import scaled_nodes
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.levels import map_values

_LEAST = 1 / 16  # of the scale of the largest channel
_WORTH = 0.7  # root mean square of scales, below which they are worth it


def with_even_variables(lowered: Graph, graph: Graph, data: Images) -> Graph:
    """The lowered graph with channels of variables that all reach as far as the largest."""
    read = {node.operands[0].name for node in graph.nodes if isinstance(node.op, Function)}
    groups = [g for g in fusion_groups(lowered) if g.result.name in read and _can_scale(lowered, g)]
    if not groups:
        return lowered
    samples = {g.result.name: ChannelSample(len(data[0])) for g in groups}
    for values in run(graph, data, list(samples)):
        for name, array in values.items():
            samples[name].add(array)
    found = {g.result.name: _scales(g, samples[g.result.name]) for g in groups}
    scales = {n: one for n, one in found.items() if np.sqrt(np.square(one).mean()) < _WORTH}
    if not scales:
        return lowered
    nodes = [made for node in lowered.nodes for made in scaled_nodes(node, lowered, scales, scales)]
    even = rewrite(drop_dead(replace(lowered, nodes=tuple(nodes))), *SUMS)
    names = {name: even.fresh(f"{name}:even") for name in scales}
    return map_values(even, lambda value: replace(value, name=names.get(value.name, value.name)))


def _can_scale(graph: Graph, group: FusionGroup) -> bool:
    """Whether layers make a value of several channels, and scales and shifts alone read it."""
    users = graph.users(group.result)
    return (
        not group.clip
        and not group.gain
        and len(group.result.type.shape) > 1
        and isinstance(group.result.type, Tensor)
        and group.result.type.range is not None
        and not graph.is_output(group.result)
        and all(isinstance(node.op, Conv | Dense | Add) for node in group.nodes)
        and bool(users)
        and all(isinstance(user.op, Affine) for user in users)
    )


def _scales(group: FusionGroup, sample: ChannelSample) -> Array:
    """The part of the value's range that each channel reaches."""
    assert isinstance(group.result.type, Tensor) and group.result.type.range is not None
    (low, high), (lowest, highest) = group.result.type.range, sample.ends()
    parts = [np.zeros_like(highest)]
    if high > 0:
        parts.append(highest / high)
    if low < 0:
        parts.append(lowest / low)
    found: Array = np.clip(np.max(parts, axis=0), _LEAST, 1.0)
    return found
