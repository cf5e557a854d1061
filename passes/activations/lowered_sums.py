"""Layers and sums as `lower-activations` leaves them: noise counts where there are spikes."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, rewrite
from qcompiler.ir.ann import Affine
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.linear import parameters
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups

from .duplication import MOST_CLIPS, copied, is_clip, split_readers


def with_lowered_sums(graph: Graph, fan_in: int = 0) -> Graph:
    """The graph without sums of two clips that one layer reads, and layers that clips share.

    That layer reads both clips, if it sums no more than ``fan_in`` elements (0: no limit), and each
    clip has a copy of its layer.
    """
    return with_own_layers(split_readers(graph, SUMS, fan_in))


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
