"""Values that are constant but for rounding, and functions of them.

The squares of a normalised vector add up to one, as probabilities do, and its elements to zero. Of
such a sum, calibration sees what single precision has rounded, or a small number beside the sum. In
the spiking network, one level of what is added up moves it much farther than its whole range, and
no weight can hold that. So its functions become constants, products with these scale the other
factor, and what reads the sum itself gets a range as wide as weights can hold.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Tensor, Value, drop_dead
from qcompiler.ir.ann import Function, Multiply
from qcompiler.ir.ann.formula import values
from qcompiler.ir.types import LARGEST_REAL
from qcompiler.ir.view import View
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.levels import map_values

from .activation_fit import range_of
from .clip_sums import ClipSumBuilder
from .jumps import choices_of
from .resolution import Resolution


def without_lost(graph: Graph, limits: Resolution) -> Graph:
    """The graph without values that are lost in the levels of what they are sums of.

    ``limits`` has the levels and the largest weight; its graph is not read.
    """
    graph = _with_constants(graph, replace(limits, graph=graph))
    while lost := _lost(graph, replace(limits, graph=graph)):
        graph = map_values(graph, lambda value: lost.get(value.name, value))
    return graph


def _lost(graph: Graph, limits: Resolution) -> dict[str, Value]:
    """Sums that are lost, by name, with ranges in which weights can hold them."""
    found: dict[str, Value] = {}
    for group in fusion_groups(graph):
        type_ = group.result.type
        if isinstance(type_, Tensor) and type_.range is not None and limits.loses(group.result):
            middle, width = sum(type_.range) / 2, limits.held(group)
            bounds = middle - width / 2, middle + width / 2
            if max(map(abs, bounds)) <= LARGEST_REAL:
                found[group.result.name] = Value(group.result.name, replace(type_, range=bounds))
    return found


def _with_constants(graph: Graph, limits: Resolution) -> Graph:
    """The graph without functions of values that are lost."""
    known: dict[str, float] = {}  # values that are one number
    nodes: list[Node] = []
    for node in graph.nodes:
        new, first = ClipSumBuilder(node, None), node.operands[0]
        match node.op:
            case Function(formula) if (found := _constant(node, formula, limits)) is not None:
                if not node.arrays:
                    known[node.result.name] = found
                nodes += new.total([], found)
            case _ if isinstance(node.op, View) and first.name in known:
                known[node.result.name] = known[first.name]
                nodes.append(node)
            case Multiply() if not known.keys().isdisjoint(o.name for o in node.operands[:2]):
                one, other = node.operands[:2]
                factor, value = (one, other) if one.name in known else (other, one)
                nodes += new.total([(value, known[factor.name])], 0.0)
            case _:
                nodes.append(node)
    return drop_dead(replace(graph, nodes=tuple(nodes))) if len(known) else graph


def _constant(node: Node, formula: str, limits: Resolution) -> float | None:
    """What a function gives in the middle of the range of its variable, if that is lost."""
    x = node.operands[0]
    if not isinstance(x, Value) or not limits.loses(x):
        return None
    low, high = range_of(x, node)
    within = np.linspace(low, high, 3)
    if choices_of(formula, within)[0].size:
        return None
    _, found, _ = values(formula, within)
    return float(found) if np.isfinite(found) else None
