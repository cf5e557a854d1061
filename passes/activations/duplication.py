"""Duplicate layers whose result only clips read, if that is cheaper than another population.

There are two ways to feed several clips from one layer. With a copy of the layer per clip, the sums
keep full precision and need no extra window, but each copy repeats the synapses. With an extra
population, the sums are rounded to levels, but each clip needs one synapse per neuron. The first
way is taken for up to eight clips, for layers of small fan-in, and for the functions of outputs,
whose errors nothing averages, if their copies are a small share of the network. States that go to
the next frame, which keep their errors, may have more copies. A copy for the host is always one of
the layer.
"""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, Value, drop_dead, size
from qcompiler.ir.ann import Affine, Clip, Rescale
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.host_copies import is_host_copy
from qcompiler.passes.folding.linear import fan_in_of
from qcompiler.passes.folding.neighbours import copy_nodes
from qcompiler.passes.quantization.fusion_groups import (
    FusionGroup,
    fusion_groups,
    is_network_output,
)
from qcompiler.passes.quantization.levels import PRECISE

from .continuous_fit import MOST_SEGMENTS
from .fine_values import is_left
from .resolution import Resolution

MOST_CLIPS = 8  # of a function, each with a copy of the layer
MORE_CLIPS = 16  # where precision is asked for
FEW_SYNAPSES = 16  # of one neuron
_FEW_ADDED = 1024  # synapses of all copies
_SHARE = 0.5  # of the network's synapses
_MORE_ADDED = 1 << 14  # for the functions of states
_HOPS = 4  # a shift, a clip, a slope and their sum


def duplicate_layers(graph: Graph, resolution: Resolution, finer: bool = False) -> Graph:
    """Copy every layer that only clips read, if there are few clips or synapses, and weights fit.

    ``resolution`` is that of the graph; ``finer`` says whether an error of functions is asked for.
    """
    copies: dict[str, list[Node]] = {}  # by the node that reads them
    groups = tuple(fusion_groups(graph))
    total = sum(fan_in_of(group) * size(group.result.type) for group in groups)
    some = max(_FEW_ADDED, _SHARE * total)
    for group in groups:
        readers = graph.users(group.result)
        if group.clip or graph.is_output(group.result) or len(readers) < 2:
            continue
        if hosts := [reader for reader in readers if is_host_copy(graph, reader)]:
            for index, reader in enumerate(hosts):
                copies[reader.result.name] = copied(graph, group, reader, index)
            readers = tuple(reader for reader in readers if reader not in hosts)
        first = max(1, len(hosts))  # of the names of copies that others read
        if states := [reader for reader in readers if _is_state(graph, reader)]:
            if fan_in_of(group) * size(group.result.type) * len(states) > _MORE_ADDED:
                continue
            for index, reader in enumerate(states, first):
                copies[reader.result.name] = copied(graph, group, reader, index)
            readers = tuple(reader for reader in readers if reader not in states)
            first += len(states)
        if not all(is_clip(graph, reader) for reader in readers):
            continue
        if group.gain and any(map(is_left, readers)):  # the parts of a sum have no gain
            continue
        if not all(resolution.carries(group, reader) for reader in readers):
            continue
        added = fan_in_of(group) * size(group.result.type) * (len(readers) - 1)
        ends = added <= some and _makes_output(graph, group.result, _HOPS)
        ends = ends or (added <= _MORE_ADDED and _makes_state(graph, group.result, _HOPS + 1))
        if len(readers) <= most_clips(group, resolution.t_max, finer) or ends:
            for index, reader in enumerate(readers[1:], first):
                copies[reader.result.name] = copied(graph, group, reader, index)
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += copies.get(node.result.name, [node])
    return drop_dead(replace(graph, nodes=tuple(nodes)))


def _makes_output(graph: Graph, value: Value, hops: int) -> bool:
    """Whether all that reads a value are outputs, within some nodes."""
    users = graph.users(value)
    return is_network_output(graph, value) or (
        bool(users) and hops > 0 and all(_makes_output(graph, u.result, hops - 1) for u in users)
    )


def _makes_state(graph: Graph, value: Value, hops: int) -> bool:
    """Whether a state is among what reads a value, within some nodes."""
    users = graph.users(value)
    return hops > 0 and any(
        _is_state(graph, user) or _makes_state(graph, user.result, hops - 1) for user in users
    )


def _is_state(graph: Graph, node: Node) -> bool:
    """Whether a node is the clip that gives a state its code, or another output with a code."""
    user = graph.only_user(node.result)
    if isinstance(node.op, Affine) and user:
        return _is_state(graph, user)
    end = user.result if user and isinstance(user.op, Rescale) else node.result
    return isinstance(node.op, Clip) and graph.is_output(end) and is_code(node.result)


def is_clip(graph: Graph, node: Node) -> bool:
    """Whether a node is a clip, or what a clip alone reads."""
    if isinstance(node.op, Affine) or is_left(node):
        user = graph.only_user(node.result)
        return user is not None and isinstance(user.op, Clip)
    return isinstance(node.op, Clip)


def is_small(group: FusionGroup) -> bool:
    """Whether a neuron of a group has few synapses, borders aside."""
    return fan_in_of(group) <= FEW_SYNAPSES


def most_clips(group: FusionGroup, t_max: int, finer: bool) -> int:
    """The most clips for each of which a group is copied, wherever it is.

    What is ``finer`` than by default would be lost in the levels of another population.
    """
    if is_small(group) or finer:
        return MOST_SEGMENTS
    return MORE_CLIPS if t_max >= PRECISE else MOST_CLIPS


def copied(graph: Graph, group: FusionGroup, reader: Node, index: int) -> list[Node]:
    """A copy of a group's nodes and the reader, which reads the copy."""
    made = copy_nodes(group.nodes, lambda name: graph.fresh(f"{name}:copy{index}"))
    last = {group.result.name: made[-1].result}
    operands = tuple(last.get(operand.name, operand) for operand in reader.operands)
    return [*made, replace(reader, operands=operands)]
