"""One population in real numbers: synapses, bias and gain of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Constant, Diagnostic, Graph, Node, Spikes, UnsupportedModel
from qcompiler.ir.ann import Affine, Conv, Dense, Pad, SumPool
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse

from .fusion_groups import Branch, FusionGroup, fusion_groups

_FAR = 1e37  # larger numbers count as infinite


class LinearSynapse(NamedTuple):
    """A linear map as a synapse: weights, and a bias of full rank."""

    synapse: Synapse
    weight: Array
    bias: Array


class RealLayer(NamedTuple):
    """The synapses of every branch, a positive gain behind their sum, and a bias behind that.

    The largest gain of a channel is 1: its neurons' slopes are the channel's or larger.
    """

    branches: tuple[LinearSynapse, ...]
    bias: Array
    gain: Array


def real_layer_of(group: FusionGroup, sources: Sequence[Sequence[Spikes]]) -> RealLayer:
    """A group in real numbers; UnsupportedModel for padding that has no spiking form.

    ``sources`` are the codes of every branch's source: of all its digits, each of which becomes a
    branch.
    """
    rank = len(group.result.type.shape)
    pairs = list(zip(group.branches, sources, strict=True))
    maps = [_linear(branch, codes[0], rank) for branch, codes in pairs]
    bias = sum((linear.bias for linear in maps), np.zeros((1,) * rank))
    branches = tuple(linear for linear, codes in zip(maps, sources, strict=True) for _ in codes)
    if group.gain is None:
        return RealLayer(branches, bias, np.ones((1,) * rank))
    scale, shift = (
        expand_to_rank(c.data.astype(np.float64), rank) for c in constants_of(group.gain)
    )
    bias = bias * scale + shift
    largest = _largest(scale)
    return RealLayer(tuple(_times(branch, largest) for branch in branches), bias, scale / largest)


def gain_spread(graph: Graph) -> float:
    """The largest ratio of gains of one channel: that of the slopes of its neurons."""
    gains = (
        expand_to_rank(constants_of(group.gain)[0].data, len(group.result.type.shape))
        for group in fusion_groups(graph)
        if group.gain
    )
    return max((float(np.max(_largest(gain) / gain)) for gain in gains), default=1.0)


def _largest(gain: Array) -> Array:
    """The largest gain of every channel."""
    found: Array = gain.max(axis=tuple(range(1, gain.ndim)), keepdims=True)
    return found


def _times(branch: LinearSynapse, scale: Array) -> LinearSynapse:
    """Fold a gain per channel into the weights of a branch."""
    weight = branch.weight
    return branch._replace(weight=weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)))


def _linear(branch: Branch, source: Spikes, rank: int) -> LinearSynapse:
    node, zero = branch.linear, np.zeros((1,) * rank)
    if node is None:
        return LinearSynapse(Relay(), zero + 1, zero)
    match node.op:
        case Conv() as op:
            weight, bias = (c.data for c in constants_of(node))
            synapse = Convolve(op.strides, op.pads, op.dilations, op.groups)
            return LinearSynapse(synapse, weight, expand_to_rank(bias, rank))
        case Dense():
            weight, bias = (c.data for c in constants_of(node))
            return LinearSynapse(Connect(), weight, bias)
        case Affine():
            scale, shift = (c.data for c in constants_of(node))
            return LinearSynapse(Relay(), expand_to_rank(scale, rank), expand_to_rank(shift, rank))
        case SumPool() as op:
            channels = source.shape[0]
            synapse = Convolve(op.strides, op.pads, op.dilations, channels)
            return LinearSynapse(synapse, np.ones((channels, 1, *op.kernel)), zero)
        case Pad() as op:
            return _pad(node, op, source.shape)
    raise UnsupportedModel(Diagnostic(f"{node.op.mnemonic} has no spiking form", node.origin))


def _pad(node: Node, op: Pad, shape: tuple[int, ...]) -> LinearSynapse:
    if abs(op.value) > _FAR:
        raise UnsupportedModel(
            Diagnostic(
                "only a max pool can read padding with minus infinity",
                node.origin,
                "pad with a finite value, or put a max pool behind the pad",
            )
        )
    rank = len(shape)
    begins, ends = op.pads[:rank], op.pads[rank:]
    filling = np.full(node.result.type.shape, op.value)
    inner = tuple(slice(b, b + n) for b, n in zip(begins, shape, strict=True))
    filling[inner] = 0
    bias = filling if op.value else np.zeros((1,) * rank)
    unit, space = (1,) * (rank - 1), (*begins[1:], *ends[1:])
    if rank > 1 and not (begins[0] or ends[0]):
        return LinearSynapse(
            Convolve(unit, space, unit, shape[0]), np.ones((shape[0], 1, *unit)), bias
        )
    embedding = np.eye(shape[0] + begins[0] + ends[0], shape[0], -begins[0], np.float32)
    if rank == 1:
        return LinearSynapse(Connect(), embedding, bias)
    return LinearSynapse(
        Convolve(unit, space, unit), embedding.reshape(*embedding.shape, *unit), bias
    )


def constants_of(node: Node) -> tuple[Constant, ...]:
    """The constants among a node's operands."""
    return tuple(operand for operand in node.operands if isinstance(operand, Constant))
