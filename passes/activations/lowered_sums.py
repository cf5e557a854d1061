"""Layers and sums as `lower-activations` leaves them: noise counts where there are spikes.

Layers are distributed over the sums of clips that they read, so that these need no population.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from qcompiler.ir import Graph, Node, Operand, Value, rewrite
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, MaxPool
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.linear import elements_summed, parameters, takes_scale
from qcompiler.passes.folding.neighbours import distribute_over_sum
from qcompiler.passes.quantization.fusion_groups import (
    FusionGroup,
    fusion_groups,
    is_network_output,
)

from .duplication import FEW_SYNAPSES, MOST_CLIPS, copied, is_clip

_FEW_CLIPS = 2  # that the layer behind reads without a population between
_FEW_AT_OUTPUT = 256  # synapses of one neuron of an output, where precision is asked for


def with_lowered_sums(graph: Graph, fan_in: int = 0) -> Graph:
    """The graph without sums of two clips that one layer reads, and layers that clips share.

    That layer reads both clips, if it sums no more than ``fan_in`` elements (0: no limit), and each
    clip has a copy of its layer.
    """
    return with_own_layers(split_readers(graph, fan_in))


def with_own_layers(graph: Graph) -> Graph:
    """The graph with a copy of each layer for every clip that reads it, where only clips do."""
    copies: dict[str, list[Node]] = {}
    for group in fusion_groups(graph):
        if _is_shared(graph, group):
            for index, reader in enumerate(graph.users(group.result)[1:], 1):
                copies[reader.result.name] = copied(graph, group, reader, index)
    nodes = (new for node in graph.nodes for new in copies.get(node.result.name, [node]))
    return rewrite(replace(graph, nodes=tuple(nodes)), *SUMS) if copies else graph


def _is_shared(graph: Graph, group: FusionGroup) -> bool:
    readers = graph.users(group.result)
    layers = [branch.linear for branch in group.branches if branch.linear is not None]
    if group.clip or not any(isinstance(one.op, Affine) or parameters(one) for one in layers):
        return False
    if graph.is_output(group.result) or not 2 <= len(readers) <= MOST_CLIPS:
        return False
    return all(is_clip(graph, one) and not graph.is_output(one.result) for one in readers)


def split_readers(graph: Graph, fan_in: int, most: int = MOST_CLIPS) -> Graph:
    """Distribute a layer over a sum of two clips, one of small fan-in over up to ``most``.

    Not if the layer would sum more elements than ``fan_in`` (0: no limit).
    """
    return rewrite(graph, partial(_split, fan_in=fan_in, most=most), *SUMS)


def _split(node: Node, graph: Graph, fan_in: int, most: int) -> tuple[Node, ...] | None:
    if (total := _own_sum(node, graph)) is None:
        return None
    clips, elements = len(total.operands), elements_summed(node)
    most = most if elements <= FEW_SYNAPSES else _FEW_CLIPS
    if clips > most or 0 < fan_in < clips * elements:
        return None
    if not all(_scaled_clip(graph, operand, node) for operand in total.operands):
        return None
    name = node.result.name
    return distribute_over_sum(node, total.operands, lambda i: graph.fresh(f"{name}:clip{i}"))


def split_outputs(graph: Graph, fan_in: int = 0) -> Graph:
    """Distribute a small layer that is an output over a sum of values that spike.

    The sum, of segments or gates, then needs no population, which would round it to levels.
    """
    return rewrite(graph, partial(_split_output, fan_in=fan_in or _FEW_AT_OUTPUT), *SUMS)


def _split_output(node: Node, graph: Graph, fan_in: int) -> tuple[Node, ...] | None:
    total = _own_sum(node, graph)
    if total is None or not is_network_output(graph, node.result):
        return None
    synapses = len(total.operands) * elements_summed(node)
    if synapses > min(fan_in, _FEW_AT_OUTPUT):
        return None
    if not all(_spikes(graph, operand, node) for operand in total.operands):
        return None
    name = node.result.name
    return distribute_over_sum(node, total.operands, lambda i: graph.fresh(f"{name}:term{i}"))


def _own_sum(node: Node, graph: Graph) -> Node | None:
    """The sum that a layer reads, if nothing else does."""
    inner = graph.producer(node.operands[0]) if isinstance(node.op, Conv | Dense) else None
    if inner is None or not isinstance(inner.op, Add):
        return None
    return inner if graph.only_user(inner.result) is node else None


def _spikes(graph: Graph, operand: Operand, layer: Node) -> bool:
    """Whether a value, or what it scales, is a clip, or a population that others read as well."""
    source = _unscaled(graph, operand, layer)
    node = graph.producer(source)
    shared = isinstance(source, Value) and graph.only_user(source) is None
    return node is None or shared or isinstance(node.op, Clip)


def _scaled_clip(graph: Graph, operand: Operand, layer: Node) -> bool:
    """Whether a value is a clip, or a max pool of one, or scales it."""
    node = graph.producer(_unscaled(graph, operand, layer))
    if node is not None and isinstance(node.op, MaxPool):
        node = graph.producer(node.operands[0])
    return node is not None and isinstance(node.op, Clip)


def _unscaled(graph: Graph, operand: Operand, layer: Node) -> Operand:
    """What a value scales, if a layer can hold the scale; else the value."""
    node = graph.producer(operand)
    if node is None or not isinstance(node.op, Affine):
        return operand
    return node.operands[0] if takes_scale(layer, node.arrays[0], operand.type.shape) else operand
