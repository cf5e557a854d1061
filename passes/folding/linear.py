"""Folding a scale and a shift into the linear layer before or behind them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.ir import Constant, Node, Operand, Value, origins
from qcompiler.ir.ann import Affine, Conv, Dense, SumPool
from qcompiler.ir.index_maps import Shape
from qcompiler.ir.kernels import Array, convolve, expand_to_rank, reach
from qcompiler.passes.quantization.fusion_groups import FusionGroup


def parameters(node: Node) -> tuple[Array, Array] | None:
    """Weight and bias of a Conv or Dense whose parameters are constants; else None."""
    if not isinstance(node.op, Conv | Dense):
        return None
    weight, bias = node.operands[1:]
    if isinstance(weight, Constant) and isinstance(bias, Constant):
        return weight.data, bias.data
    return None


def is_pixelwise(node: Node) -> bool:
    """Whether a convolution sums the channels of each pixel."""
    if not isinstance(node.op, Conv) or node.op.groups != 1 or parameters(node) is None:
        return False
    kernel, op = node.operands[1].type.shape[2:], node.op
    return not any(op.pads) and prod(kernel) == 1 and prod(op.strides) == 1


def weights_by_channel(node: Node) -> Array | None:
    """Weights of a linear node by input channel, ``O x C x ..``; None if not available.

    Grouped convolutions, and dense layers that flatten an image, have none.
    """
    shape = node.operands[0].type.shape
    if isinstance(node.op, Affine):
        scale = per_channel(node.arrays[0], shape)
        pixel = (1,) * len(shape[1:])
        return None if scale is None else np.diag(scale).reshape(*shape[:1] * 2, *pixel)
    found = parameters(node)
    flat = isinstance(node.op, Dense) and len(shape) > 1
    grouped = isinstance(node.op, Conv) and node.op.groups > 1
    return None if found is None or flat or grouped else found[0]


def largest_by_channel(node: Node) -> Array | None:
    """The largest weight of a linear node by input channel; None if not available."""
    found = parameters(node)
    if found is None or not isinstance(node.op, Conv) or node.op.groups == 1:
        weights = weights_by_channel(node)
        return None if weights is None else _largest(weights, 1)
    groups, (outputs, width) = node.op.groups, found[0].shape[:2]
    apart = found[0].reshape(groups, outputs // groups, width, -1)
    return _largest(apart.swapaxes(1, 2).reshape(groups * width, -1), 0)


def _largest(weights: Array, axis: int) -> Array:
    others = tuple(at for at in range(weights.ndim) if at != axis)
    found: Array = np.abs(weights).max(axis=others)
    return found


def elements_summed(node: Node) -> int:
    """Elements of its source that each element of a linear node's result sums, borders aside."""
    match node.op:
        case Conv() | Dense():
            return prod(node.operands[1].type.shape[1:])
        case SumPool(kernel=kernel):
            return prod(kernel)
    return 1


def fan_in_of(group: FusionGroup) -> int:
    """Elements that each neuron of a group sums, borders aside."""
    return sum(elements_summed(branch.linear) if branch.linear else 1 for branch in group.branches)


def most_copies(group: FusionGroup, value: Value, fan_in: int) -> int:
    """How many populations may make a value that a group reads; each neuron sums up to ``fan_in``.

    A value of which each neuron sums one element has copies alone, others as if all had as many.
    """
    summed = fan_in_of(group)
    read = [branch for branch in group.branches if branch.source == value]
    added = bool(read) and fan_in_of(replace(group, branches=tuple(read))) == len(read)
    return max(1, 1 + (fan_in - summed) // (len(read) if added else summed))


def replace_weights(node: Node, source: Operand, weight: Array, bias: Array, *merged: Node) -> Node:
    """A linear node with new parameters and source, under the result of the last merged node."""
    last = merged[-1] if merged else node

    name = last.result.name
    operands = (
        source,
        Constant(f"{name}:weight", weight.astype(np.float32, copy=False)),
        Constant(f"{name}:bias", bias.astype(np.float32)),
    )
    return replace(node, operands=operands, result=last.result, origin=origins(node, *merged))


def expand_rows(array: Array, shape: tuple[int, ...]) -> Array:
    """Broadcast an array to the first axis of ``shape``: one row per channel."""
    full = expand_to_rank(array, len(shape))
    return np.broadcast_to(full, (shape[0], *full.shape[1:]))


def per_channel(array: Array, shape: tuple[int, ...]) -> Array | None:
    """One number for each index of the first axis of ``shape``, if the array has no more."""
    full = expand_to_rank(array, len(shape))
    if any(n > 1 for n in full.shape[1:]):
        return None
    return np.broadcast_to(full.reshape(-1), shape[:1])


def fold_behind(node: Node, behind: Node, scale: Array, shift: Array) -> Node | None:
    """``linear(x) * scale + shift`` as one linear layer; None if the scale varies over space."""
    found = parameters(node)
    gain = per_channel(scale, node.result.type.shape)
    if found is None or gain is None:
        return None
    weight, bias = found
    spread = gain.reshape(-1, *(1,) * (weight.ndim - 1))
    over = gain.reshape(-1, *(1,) * (len(node.result.type.shape) - 1))
    new_bias = _trim(bias.astype(np.float64) * over + shift, node.result.type.shape)
    return replace_weights(node, node.operands[0], _scaled(weight, spread), new_bias, behind)


def folds_before(node: Node, before: Node, scale: Array) -> bool:
    """Whether `fold_before` can fold a scale, and any shift, into a node that reads it."""
    reads = parameters(node) is not None and node.operands[0] == before.result
    return reads and takes_scale(node, scale, before.result.type.shape)


def takes_scale(layer: Node, scale: Array, shape: Shape) -> bool:
    """Whether the weights of a layer can hold a scale of what it reads, of this shape."""
    return isinstance(layer.op, Dense) or per_channel(scale, shape) is not None


def fold_before(node: Node, before: Node, scale: Array, shift: Array) -> Node | None:
    """``linear(x * scale + shift)`` as one linear layer; None if a convolution cannot absorb it."""
    found = parameters(node)
    if found is None:
        return None
    weight, bias = found[0], found[1].astype(np.float64)
    source = before.operands[0]
    shape = source.type.shape
    if isinstance(node.op, Dense):
        gain = np.broadcast_to(scale, shape).reshape(-1).astype(np.float64)
        moved = weight @ np.broadcast_to(shift, shape).reshape(-1).astype(np.float64)
        folded = replace_weights(node, source, _scaled(weight, gain), bias + moved)
    else:
        assert isinstance(node.op, Conv)
        channel_gain = per_channel(scale, shape)
        if channel_gain is None:
            return None
        grouped = by_group(channel_gain.astype(np.float64), weight, node.op)
        if np.any(shift):
            bias = bias + _shifted(node.op, weight, shift, shape)
        new_bias = _trim(bias, node.result.type.shape)
        spread = grouped.reshape(*grouped.shape, *(1,) * (weight.ndim - 2))
        folded = replace_weights(node, source, _scaled(weight, spread), new_bias)
    return replace(folded, origin=origins(before, node))


def _scaled(weight: Array, spread: Array) -> Array:
    """Weights times factors in double precision, rounded as they are made: they can be large."""
    scaled = np.empty(weight.shape, np.float32)
    np.multiply(weight, spread, out=scaled, dtype=np.float64, casting="same_kind")
    return scaled


def by_group(channels: Array, weight: Array, op: Conv) -> Array:
    """One number for each input channel, laid out as the weight sees it: ``O x C/groups``."""
    rows = channels.reshape(op.groups, weight.shape[1])
    return np.repeat(rows, weight.shape[0] // op.groups, axis=0)


def _shifted(op: Conv, weight: Array, shift: Array, shape: tuple[int, ...]) -> Array:
    channels = per_channel(shift, shape)
    if channels is not None:
        return reach(weight, shape[1:], op, by_group(channels, weight, op))
    image = np.broadcast_to(shift, shape)[None].astype(np.float64)
    result: Array = convolve(image, weight, op, op.groups)[0]
    return result


def _trim(bias: Array, shape: tuple[int, ...]) -> Array:
    """Reduce a bias to one number per channel where all its pixels are equal."""
    full = expand_to_rank(bias, len(shape))
    first = full[(slice(None),) + (slice(0, 1),) * (len(shape) - 1)]
    kept = first if np.array_equal(np.broadcast_to(first, full.shape), full) else full
    return expand_rows(kept, shape)
