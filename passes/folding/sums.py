"""Sums of branches: nested ones become one, and scales behind them move into the branches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Value, origins
from qcompiler.ir.ann import Add, Affine, Pad, SumPool
from qcompiler.ir.kernels import Array

from .linear import per_channel
from .neighbours import is_ranged


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
            result = Value(fresh, values[name].type)
            made.append(_scaled(node, values[name], count, result))
            values[name] = result
    return (*made, replace(node, operands=tuple(values.values())))


def _scaled(node: Node, operand: Operand, factor: int, result: Value) -> Node:
    one = np.ones((1,) * len(node.result.type.shape), np.float32)
    scale = Constant(f"{result.name}:scale", one * factor)
    shift = Constant(f"{result.name}:shift", one * 0)
    return Node(Affine(), (operand, scale, shift), result, node.origin)


def _affine_into_branches(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A scale of each channel is one of each branch, and a shift one of the first."""
    inner = graph.producer(node.operands[0])
    if inner is None or not isinstance(inner.op, Add) or graph.only_user(inner.result) is not node:
        return None
    scale, shift = node.operands[1:]
    assert isinstance(scale, Constant) and isinstance(shift, Constant)
    if per_channel(scale.data, node.result.type.shape) is None:
        return None
    if len(set(inner.operands)) < len(inner.operands):
        return None  # is made one scaled branch first
    kept = is_ranged(inner.result) or _is_gain(node, scale.data, graph)
    if kept and _has_windows(inner, graph):
        return None
    none = Constant(f"{shift.name}:none", np.zeros_like(shift.data))
    branches = [
        Node(
            Affine(),
            (operand, scale, none if index else shift),
            Value(graph.fresh(f"{node.result.name}:branch{index}"), inner.result.type),
            node.origin,
        )
        for index, operand in enumerate(inner.operands)
    ]
    operands = tuple(branch.result for branch in branches)
    return (
        *branches,
        replace(inner, operands=operands, result=node.result, origin=origins(inner, node)),
    )


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
