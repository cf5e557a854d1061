"""Synapses as lists: who sends, who receives, and with which weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Value
from qcompiler.ir.integer import connection, layer_of, weight_of
from qcompiler.ir.kernels import Array, windows
from qcompiler.ir.snn import Connect, Convolve, First, Relay
from qcompiler.ir.view import View, arrange

_GATE_WEIGHT = 2


@dataclass(frozen=True, eq=False)
class Wires:
    """Synapses between two populations: neuron ``pre[i]`` reaches ``post[i]`` with ``weight[i]``.

    One-dimensional arrays of integers; weights are never 0. The same pair may come twice.
    """

    source: str
    target: str
    pre: Array
    post: Array
    weight: Array


def wires_into(graph: Graph, node: Node) -> Iterator[Wires]:
    """The synapses, one list each, into a population or first-spike gate."""
    target = node.result.name
    if isinstance(node.op, First):
        name, image = _image(graph, node.operands[0])
        pre = windows(image[None], node.op, node.op.kernel, -1)[0]
        post = _numbers(node.result.type.shape).reshape(
            *node.result.type.shape, *(1 for _ in node.op.kernel)
        )
        yield _listed(name, target, pre, post, np.array(_GATE_WEIGHT))
        return
    for synapse in layer_of(graph, node).synapses:
        name, image = _image(graph, synapse.operands[0])
        weight = weight_of(synapse)
        match connection(synapse):
            case Connect():
                post, column = np.nonzero(weight)
                yield Wires(name, target, image.ravel()[column], post, weight[post, column])
            case Relay():
                post = _numbers(image.shape)
                yield _listed(name, target, image, post, weight)
            case Convolve() as op:
                yield _listed(name, target, *_convolved(op, image, weight))


def _convolved(op: Convolve, image: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Sender, receiver and weight, each ``group x out x in x space x kernel`` when broadcast."""
    kernel = weight.shape[2:]
    rank, ones = len(kernel), (1,) * len(kernel)
    outs, ins = len(weight) // op.groups, weight.shape[1]
    pre = windows(image[None], op, kernel, -1)[0]
    space = pre.shape[1 : 1 + rank]
    pre = pre.reshape(op.groups, 1, ins, *space, *kernel)
    post = _numbers((len(weight), *space)).reshape(op.groups, outs, 1, *space, *ones)
    return pre, post, weight.reshape(op.groups, outs, ins, *ones, *kernel)


def _listed(source: str, target: str, pre: Array, post: Array, weight: Array) -> Wires:
    """Wires from arrays that spread over each other; a sender of -1 is padding."""
    pre, post, weight = np.broadcast_arrays(pre, post, weight)
    there = (pre >= 0) & (weight != 0)
    return Wires(source, target, pre[there], post[there], weight[there])


def _image(graph: Graph, operand: Operand) -> tuple[str, Array]:
    """Sending population behind views, and which of its neurons is where."""
    node = graph.producer(operand)
    assert node is not None
    if not isinstance(node.op, View):
        assert isinstance(operand, Value)
        return operand.name, _numbers(operand.type.shape)
    name, image = _image(graph, node.operands[0])
    return name, arrange(node.op, image[None])[0]


def _numbers(shape: tuple[int, ...]) -> Array:
    return np.arange(prod(shape)).reshape(shape)
