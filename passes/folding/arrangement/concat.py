"""Remove concatenations: move them behind their readers, or turn them into sums.

Operators that treat all parts alike are applied to each part. A linear layer of a concatenation
becomes a sum of layers, one per part. Otherwise the parts are padded with zeros and added. The host
computes a concatenation of outputs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Value
from qcompiler.ir.ann import (
    Add,
    Affine,
    Clip,
    Concat,
    Conv,
    Dense,
    Function,
    MaxPool,
    OnHost,
    Pad,
    SumPool,
)
from qcompiler.ir.view import Reshape, Take, Transpose
from qcompiler.passes.folding.linear import expand_rows

from .concat_parts import ConcatRewriter
from .parts_alike import parts_alike


def concat_rules(node: Node, graph: Graph) -> tuple[Node, ...] | Value | None:
    """Do to its parts what is done to a concatenation."""
    if isinstance(node.op, Concat) and len(node.operands) == 1:
        (alone,) = node.operands
        return alone if isinstance(alone, Value) else None
    if isinstance(node.op, Add):
        return _sum_of_concats(node, graph)
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None or not isinstance(inner.op, Concat) or len(inner.operands) == 1:
        return None
    new = ConcatRewriter(graph, node, inner)
    match node.op:
        case Concat():
            return _flattened(node, graph)
        case Conv() as op if inner.op.axis == 0 and _aligned(op, inner):
            return _by_groups(new, op)
        case Conv() | Dense():
            return _linear(new)
        case SumPool() if inner.op.axis > 0:
            return _linear(new)
        case (
            Clip()
            | Function()
            | MaxPool()
            | SumPool()
            | Affine()
            | Pad()
            | Reshape()
            | Transpose()
            | Take()
        ):
            return parts_alike(new)
    return None


def concat_as_sum(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Where nothing else helps: padded parts, summed."""
    if isinstance(node.op, Concat | OnHost):
        return None
    for operand in node.operands:
        inner = graph.producer(operand)
        if inner is not None and isinstance(inner.op, Concat):
            new = ConcatRewriter(graph, node, inner)
            total = new.add(Add(), *new.padded())
            operands = tuple(total if o == operand else o for o in node.operands)
            return (*new.nodes, replace(node, operands=operands))
    return None


def _linear(new: ConcatRewriter) -> tuple[Node, ...]:
    """A linear layer of the whole is the sum of what it makes of each part among zeros."""
    weights = new.node.operands[1:]
    layers = []
    for index, part in enumerate(new.padded()):
        layers.append(new.add(new.node.op, part, *weights))
        if index == 0 and weights:
            bias = weights[1]
            assert isinstance(bias, Constant)
            none = Constant(f"{new.node.result.name}:nothing", np.zeros_like(bias.data))
            weights = (weights[0], none)
    return new.done(Add(), *layers)


def _aligned(op: Conv, inner: Node) -> bool:
    """Whether every group of a convolution lies within one part."""
    if op.groups == 1:
        return False
    width = inner.result.type.shape[0] // op.groups
    return all(part.type.shape[0] % width == 0 for part in inner.operands)


def _by_groups(new: ConcatRewriter, op: Conv) -> tuple[Node, ...]:
    weight, bias = new.node.operands[1:]
    assert isinstance(weight, Constant) and isinstance(bias, Constant)
    width, outputs = new.shape[0] // op.groups, len(weight.data) // op.groups
    biases = expand_rows(bias.data, new.node.result.type.shape)
    layers = []
    for index, part in enumerate(new.parts):
        rows = slice(new.begins[index] // width * outputs, new.ends[index] // width * outputs)
        groups = part.type.shape[0] // width
        constants = (
            Constant(f"{new.node.result.name}:{role}{index}", array[rows])
            for role, array in (("weight", weight.data), ("bias", biases))
        )
        layers.append(new.add(replace(op, groups=groups), part, *constants))
    return new.done(Concat(), *layers)


def _flattened(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Concatenations of concatenations along one axis are one."""
    inner = [graph.producer(operand) for operand in node.operands]
    nested = [n is not None and n.op == node.op for n in inner]
    if not any(nested):
        return None
    operands = tuple(
        operand
        for outer, n, inside in zip(node.operands, inner, nested, strict=True)
        for operand in (n.operands if n is not None and inside else (outer,))
    )
    return (replace(node, operands=operands),)


def _sum_of_concats(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """A sum of concatenations of parts of the same lengths is a concatenation of sums."""
    inner = [graph.producer(operand) for operand in node.operands]
    found = [n for n in inner if n is not None and isinstance(n.op, Concat)]
    if len(found) < len(inner):
        return None
    shapes = {(n.op, tuple(part.type.shape for part in n.operands)) for n in found}
    if len(shapes) > 1:
        return None
    new = ConcatRewriter(graph, node, found[0])
    columns = zip(*(n.operands for n in found), strict=True)
    return new.done(found[0].op, *(new.add(Add(), *column) for column in columns))
