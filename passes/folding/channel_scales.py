"""Scales of channels, taken in by the nodes that compute a value and those that read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, Function, MaxPool, Multiply, SumPool
from qcompiler.ir.kernels import Array

from .linear import fold_before, fold_behind
from .neighbours import scale_and_shift


def scales_back(graph: Graph, value: Value) -> bool:
    """Whether everything that reads a value can take in a scale of each channel.

    Products take those of maps. The scale of a single number would cut off what is large where the
    other factor, such as a gate or reciprocal, is small.
    """
    users = graph.users(value)
    linear = Conv | Dense | Add | Affine | SumPool
    kinds = linear | Multiply if len(value.type.shape) > 1 else linear
    return not graph.is_output(value) and all(
        (isinstance(user.op, kinds) and not _is_added(graph, user))
        or (commutes(user) and scales_back(graph, user.result))
        for user in users
    )


def _is_added(graph: Graph, node: Node) -> bool:
    """Whether a node sums up windows for a sum: with a scale between it were a population."""
    user = graph.only_user(node.result) if isinstance(node.op, SumPool) else None
    return user is not None and isinstance(user.op, Add)


def commutes(node: Node) -> bool:
    """Whether a positive scale of each channel may as well come behind a node."""
    return isinstance(node.op, MaxPool) or node.op in (Clip(0.0), Clip(None, 0.0))


def equal_name(graph: Graph, name: str) -> str:
    """What a value of this name, with its factors, is called between two nodes."""
    return graph.fresh(f"{name}:equal")


def scaled_nodes(
    node: Node, graph: Graph, scales: dict[str, Array], read: dict[str, Array]
) -> Iterator[Node]:
    """A node of a graph with factors before it, and behind it where it sums over space."""
    name, operands = node.result.name, list(node.operands)
    if operands and operands[0].name in read and commutes(node):
        yield node
        return
    if isinstance(node.op, SumPool) and operands[0].name in read:
        assert isinstance(node.result.type, Tensor)
        levels = node.result.type.t_max  # its own, as this may be what becomes spikes
        made = Value(equal_name(graph, name), replace(node.result.type.layout, t_max=levels))
        yield replace(node, result=made)
        yield _times(made, read[operands[0].name], node.result, node.origin)
        return
    if isinstance(node.op, Function | Multiply):
        yield _with_gain(node, scales, read)
        return
    for index, operand in enumerate(operands):
        if isinstance(operand, Value) and operand.name in read:
            made = Value(graph.fresh(f"{name}:scaled{index}"), operand.type)
            factor = _times(operand, read[operand.name], made, node.origin)
            if isinstance(node.op, Conv | Dense):  # folded here, lest it folds into the source
                node = _folded(fold_before(node, factor, *scale_and_shift(factor)), node)
                operands = list(node.operands)
            else:
                operands[index] = made
                yield factor
    if name not in scales:
        yield replace(node, operands=tuple(operands))
    elif isinstance(node.op, Conv | Dense):
        behind = _spread(1 / scales[name], node.result)
        yield _folded(fold_behind(node, node, behind, 0 * behind), node)
    else:
        for index, operand in enumerate(operands):
            fresh = graph.fresh(f"{name}:equal{index}") if index else equal_name(graph, name)
            operands[index] = made = Value(fresh, node.result.type.layout)
            yield _times(operand, 1 / scales[name], made, node.origin)
        yield _bounded(replace(node, operands=tuple(operands)), scales[name])


def _with_gain(node: Node, scales: dict[str, Array], read: dict[str, Array]) -> Node:
    """A function or product whose gain has the scales of its operands, and of its result."""
    values = [operand for operand in node.operands if isinstance(operand, Value)]
    factors = [_spread(read[value.name], node.result) for value in values if value.name in read]
    if factors:
        gain, *shift = (*node.arrays, np.ones(1))[: max(len(node.arrays), 1)]
        node = with_gain(node, np.prod(factors, axis=0) * gain, *shift)
    if node.result.name not in scales:
        return node
    behind = _spread(1 / scales[node.result.name], node.result)
    return with_gain(node, *(behind * own for own in node.arrays or (np.ones(1),)))


def with_gain(node: Node, *numbers: Array) -> Node:
    """A function or product with another gain and, if it has one, another shift."""
    values = (operand for operand in node.operands if isinstance(operand, Value))
    constants = (
        Constant(f"{node.result.name}:{role}", array.astype(np.float32))
        for role, array in zip(("gain", "shift"), numbers, strict=False)
    )
    return replace(node, operands=(*values, *constants))


def _bounded(node: Node, scale: Array) -> Node:
    """A node whose bounds, if it is a clip with an upper one, are divided by a scale."""
    clip = node.op
    if not isinstance(clip, Clip) or clip.high is None:
        return node
    largest = float(scale.max())
    tightest = Clip(clip.low and clip.low / largest, clip.high / largest)
    times = Constant(f"{node.result.name}:times", _spread(largest / scale, node.result))
    return replace(node, op=tightest, operands=(*node.operands, times))


def _folded(made: Node | None, node: Node) -> Node:
    """A layer with a factor of each channel in its weights, from the same ONNX nodes."""
    assert made is not None
    return replace(made, origin=node.origin)


def _times(source: Operand, scale: Array, result: Value, origin: tuple[str, ...]) -> Node:
    """A node that multiplies every channel."""
    full = _spread(scale, result)
    constants = (
        Constant(f"{result.name}:scale", full),
        Constant(f"{result.name}:shift", np.zeros_like(full)),
    )
    return Node(Affine(), (source, *constants), result, origin)


def _spread(scale: Array, value: Value) -> Array:
    """One number for each channel, shaped to spread over a value."""
    return scale.reshape(-1, *(1,) * (len(value.type.shape) - 1)).astype(np.float32)
