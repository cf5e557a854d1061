"""Split layers that sum more elements than a neuron may read on the target.

A core of a chip has so many input axons, and every neuron that one reads takes an axon. Partial
sums are neurons of their own, whose levels round: so layers that fit stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from qcompiler.ir import Graph, Invariant, Node, Operand
from qcompiler.ir.ann import Add
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.passes.base import Pass, check_limits
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.tensor.partial_sums import Pieces, most_summed, partial_sums


@dataclass(frozen=True)
class SplitFanIn(Pass):
    """Make partial sums of layers until no neuron sums more than ``fan_in`` elements (0: no limit).

    The numbers stay as they are. So do convolutions in groups, and pools whose windows overlap.
    """

    name: ClassVar[str] = "split-fan-in"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    fan_in: int = 0

    def __post_init__(self) -> None:
        check_limits(fan_in=self.fan_in)

    def __call__(self, graph: Graph) -> Graph:
        """Put pieces in the place of layers."""
        found: dict[str, Pieces] = {}
        for group in fusion_groups(graph) if self.fan_in else ():
            found |= self._pieces(graph, group)
        return _with_pieces(graph, found) if found else graph

    def _pieces(self, graph: Graph, group: FusionGroup) -> dict[str, Pieces]:
        """Pieces of the layers of a group, the largest first, by result."""
        summed = [most_summed(branch) for branch in group.branches]
        found: dict[str, Pieces] = {}
        for at in sorted(range(len(summed)), key=summed.__getitem__, reverse=True):
            layer, others = group.branches[at].linear, sum(summed) - summed[at]
            if sum(summed) <= self.fan_in or layer is None:
                break
            if pieces := partial_sums(graph, layer, self.fan_in, others):
                found[layer.result.name] = pieces
                summed[at] = pieces.summed
        return found


def _with_pieces(graph: Graph, found: Mapping[str, Pieces]) -> Graph:
    nodes: list[Node] = []
    for node in graph.nodes:
        if not (pieces := found.get(node.result.name)):
            nodes.append(_adding(node, found))
            continue
        nodes += pieces.nodes
        user = graph.only_user(node.result)
        if user is not None and isinstance(user.op, Add):
            continue
        if len(pieces.values) == 1:
            nodes[-1] = replace(nodes[-1], result=node.result)
        else:
            nodes.append(Node(Add(), pieces.values, node.result, node.origin))
    return replace(graph, nodes=tuple(nodes))


def _adding(node: Node, found: Mapping[str, Pieces]) -> Node:
    """A sum with the pieces of the layers that it adds."""
    if not isinstance(node.op, Add):
        return node
    operands: list[Operand] = []
    for operand in node.operands:
        pieces = found.get(operand.name)
        operands += pieces.values if pieces else [operand]
    return replace(node, operands=tuple(operands))
