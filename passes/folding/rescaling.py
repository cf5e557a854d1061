"""Rescaling inputs and outputs on the host; the inverse folds into the layers beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value
from qcompiler.ir.ann import (
    Add,
    Affine,
    Clip,
    Concat,
    Conv,
    Dense,
    Function,
    MaxPool,
    Multiply,
    Pad,
    Rescale,
    SumPool,
)
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.ir.view import View
from qcompiler.passes.quantization.fusion_groups import only_decoded

from .neighbours import affine

_SCALABLE = Conv | Dense | Add | Affine | SumPool | Pad | Function | Multiply
STANDARD = ":standard"  # behind the name of an input, what becomes spikes of it


def rescale_input(
    graph: Graph, value: Value, rescaling: Rescaling, levels: int | None = None
) -> Graph:
    """The same function of an input, of which a `Rescale` becomes spikes: numbers from 0 to 1.

    Each reader reads an `Affine` of its own that undoes it; `fold-linear` folds that. ``levels`` is
    the least number of levels, if it is not that of other inputs.
    """
    unit = _in_unit_range(value)
    assert isinstance(unit.type, Tensor)
    name = graph.fresh(standard_name(value.name))
    standard = Value(name, replace(unit.type, t_max=levels))
    nodes = [rescale(value, rescaling, standard, ())]
    for node in graph.nodes:
        if value in node.operands:
            raw = Value(graph.fresh(f"{node.result.name}:raw"), value.type)
            nodes.append(_inverse(standard, rescaling, raw, ()))
            operands = (raw if operand == value else operand for operand in node.operands)
            node = replace(node, operands=tuple(operands))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def rescale_output(graph: Graph, value: Value, rescaling: Rescaling) -> Graph:
    """The same function with a `Rescale` at an output, in front of which are numbers from 0 to 1.

    The value keeps its name, the output's result gets another one. Behind the layer that computes
    it, or in front of a ReLU, an `Affine` does the reverse; `fold-linear` folds that.
    """
    standard = _in_unit_range(value)
    decoded = Value(graph.fresh(f"{value.name}:value"), value.type.layout)
    before = Value(graph.fresh(f"{value.name}:raw"), value.type.layout)
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.result != value:
            operands = (decoded if operand == value else operand for operand in node.operands)
            nodes.append(replace(node, operands=tuple(operands)))
            continue
        if isinstance(node.op, Clip):
            scaled = _inverse(node.operands[0], rescaling, before, node.origin)
            nodes += [scaled, replace(node, operands=(before,), result=standard)]
        else:
            scaled = _inverse(before, rescaling, standard, node.origin)
            nodes += [replace(node, result=before), scaled]
        nodes.append(rescale(standard, rescaling, decoded, node.origin))
    outputs = tuple(decoded if output == value else output for output in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def ends(graph: Graph, value: Value) -> Iterator[Value]:
    """What the host decodes of an output: the parts that it concatenates, else the output."""
    node = graph.producer(value)
    while node is not None and isinstance(node.op, View):
        node = graph.producer(node.operands[0])
    if node is None or not isinstance(node.op, Concat):
        yield value
        return
    for part in node.operands:
        assert isinstance(part, Value)
        yield from ends(graph, part)


def scalable_root(graph: Graph, value: Value) -> Node | None:
    """What computes an output, if a scale of each feature folds into it; else None.

    Views, max pools and ReLUs in front pass scales on. The first ReLU stands for what computes it.
    """
    if any(not isinstance(user.op, Concat | View) for user in graph.users(value)):
        return None
    if not only_decoded(graph, value):
        return None
    node, clip = graph.producer(value), None
    while node is not None and (isinstance(node.op, View | MaxPool) or node.op == Clip(0.0)):
        clip = clip or (node if isinstance(node.op, Clip) else None)
        source = node.operands[0]
        assert isinstance(source, Value)
        if clip is not node and graph.only_user(source) is not node:
            return None
        node = graph.producer(source)
    return clip or (node if node is not None and isinstance(node.op, _SCALABLE) else None)


def standard_name(name: str) -> str:
    """The name of what becomes spikes of a rescaled input."""
    return name + STANDARD


def _in_unit_range(value: Value) -> Value:
    assert isinstance(value.type, Tensor)
    return replace(value, type=replace(value.type, range=(0.0, 1.0)))


def _inverse(source: Operand, rescaling: Rescaling, result: Value, origin: tuple[str, ...]) -> Node:
    scale = 1 / rescaling.factor.astype(np.float64)
    return affine(source, scale, rescaling.offset, result, origin)


def rescale(source: Value, rescaling: Rescaling, result: Value, origin: tuple[str, ...]) -> Node:
    """What the host does to a value."""
    offset, factor = (array.astype(np.float32) for array in rescaling)
    name = result.name
    constants = Constant(f"{name}:offset", offset), Constant(f"{name}:factor", factor)
    return Node(Rescale(), (source, *constants), result, origin)
