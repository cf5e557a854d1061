"""Sums of branches: nested ones become one, and scales behind them move into the branches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Value, origins
from qcompiler.ir.ann import Add, Affine, Pad, SumPool
from qcompiler.ir.kernels import Array

from .linear import per_channel
from .neighbours import affine, is_ranged, only_producer, scale_and_shift

_DEEP = 8  # scales of sums around one: few move one after the other, as their roundings are


def sum_rules(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Bring sums of branches into the form that `fusion_groups` looks for."""
    match node.op:
        case Add():
            return _flattened(node, graph) or _repeated(node, graph)
        case Affine():
            return _affine_into_branches(node, graph)
    return None


def _flattened(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    operands: list[Operand] = []
    merged = [node]
    for operand in node.operands:
        inner = graph.producer(operand)
        alone = inner is not None and graph.only_user(inner.result) is node
        if inner is not None and alone and isinstance(inner.op, Add):
            operands.extend(inner.operands)
            merged.insert(0, inner)
        else:
            operands.append(operand)
    if len(merged) == 1:
        return None
    return (replace(node, operands=tuple(operands), origin=origins(*merged)),)


def _repeated(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """What is added several times is scaled."""
    counts = Counter(operand.name for operand in node.operands)
    if len(counts) == len(node.operands):
        return None
    values = {operand.name: operand for operand in node.operands}
    if len(counts) == 1:
        (operand,) = values.values()
        return (_scaled(node, operand, len(node.operands), node.result),)
    made: list[Node] = []
    for name, count in counts.items():
        if count > 1:
            fresh = graph.fresh(f"{node.result.name}:repeated{len(made)}")
            result = Value(fresh, values[name].type.layout)
            made.append(_scaled(node, values[name], count, result))
            values[name] = result
    return (*made, replace(node, operands=tuple(values.values())))


def _scaled(node: Node, operand: Operand, factor: int, result: Value) -> Node:
    one = np.ones((1,) * len(node.result.type.shape), np.float32)
    scale = Constant(f"{result.name}:scale", one * factor)
    shift = Constant(f"{result.name}:shift", one * 0)
    return Node(Affine(), (operand, scale, shift), result, node.origin)


def _affine_into_branches(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A scale of each channel is one of each branch, and a shift one of the first.

    The scales far inside a deep nest wait for the one that moves them all.
    """
    inner, outside = _scaled_sum(node, graph), _scales_outside(node, graph)
    if inner is None or outside == _DEEP:
        return None
    if outside == _DEEP - 1:
        return _nest_as_sum(node, graph)
    scale, shift = node.operands[1:]
    assert isinstance(shift, Constant)
    none = Constant(f"{shift.name}:none", np.zeros_like(shift.data))
    branches = [
        Node(
            Affine(),
            (operand, scale, none if index else shift),
            Value(graph.fresh(f"{node.result.name}:branch{index}"), inner.result.type.layout),
            node.origin,
        )
        for index, operand in enumerate(inner.operands)
    ]
    operands = tuple(branch.result for branch in branches)
    return (
        *branches,
        replace(inner, operands=operands, result=node.result, origin=origins(inner, node)),
    )


def _nest_as_sum(node: Node, graph: Graph) -> tuple[Node, ...]:
    """A scale of a sum, and those inside it, as one sum of scaled values.

    One after the other, each scale would move through all that is inside it.
    """
    left, sums, branches = [(node, *scale_and_shift(node))], list[Node](), list[Node]()
    while left:
        outer, scale, shift = left.pop()
        total = graph.producer(outer.operands[0])
        assert total is not None
        sums += outer, total
        for operand in total.operands:
            nested = graph.producer(operand)
            alone = nested is not None and graph.only_user(nested.result) is total
            if nested is not None and alone and _scaled_sum(nested, graph):
                gain, offset = (array.astype(np.float64) for array in scale_and_shift(nested))
                left.append((nested, gain * scale, offset * scale + shift))
            else:
                name = graph.fresh(f"{node.result.name}:branch{len(branches)}")
                result = Value(name, total.result.type.layout)
                branches.append(affine(operand, scale, shift, result, outer.origin))
            shift = np.zeros_like(shift)
    operands = tuple(branch.result for branch in branches)
    total = Node(Add(), operands, node.result, origins(*reversed(sums)))
    return (*branches, total)


def _scaled_sum(node: Node, graph: Graph) -> Node | None:
    """The sum that a scale reads, if its branches can take the scale."""
    inner = only_producer(node, graph, Add) if isinstance(node.op, Affine) else None
    if inner is None:
        return None
    scale, _ = scale_and_shift(node)
    if per_channel(scale, node.result.type.shape) is None:
        return None
    if len(set(inner.operands)) < len(inner.operands):
        return None  # is made one scaled branch first
    kept = is_ranged(inner.result) or _is_gain(node, scale, graph)
    return None if kept and _has_windows(inner, graph) else inner


def _scales_outside(node: Node, graph: Graph) -> int:
    """How many scales of sums that branches can take are around a scale of a sum, up to _DEEP."""
    for found in range(_DEEP):
        total = graph.only_user(node.result)
        outer = graph.only_user(total.result) if total and isinstance(total.op, Add) else None
        if outer is None or _scaled_sum(outer, graph) is None:
            return found
        node = outer
    return _DEEP


def takes_only_gain(layer: Node, scale: Array, graph: Graph) -> bool:
    """Whether a scale behind a layer stays there: windows have no weights for it."""
    if isinstance(layer.op, SumPool):
        return True
    windows = isinstance(layer.op, Add) and _has_windows(layer, graph)
    return windows and (is_ranged(layer.result) or bool(scale.min() > 0))


def _has_windows(node: Node, graph: Graph) -> bool:
    """Whether a branch pads, or sums up windows: with a scale behind it becomes a population."""
    made = (graph.producer(operand) for operand in node.operands)
    return any(
        branch is not None
        and isinstance(branch.op, Pad | SumPool)
        and graph.only_user(branch.result) is node
        for branch in made
    )


def _is_gain(node: Node, scale: Array, graph: Graph) -> bool:
    """Whether the population of the sum before it takes a scale in; see `fusion_groups`."""
    user = graph.only_user(node.result)
    return bool(scale.min() > 0) and not (user is not None and isinstance(user.op, Add))
