"""Rows of synapses that carry data: from which population, behind views, with which weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, First, Relay, Synapse
from qcompiler.ir.spiking.integer_network import connection, layer_of, spikes_of, weight_of
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.ir.view import View, arrange

from . import netlist
from .netlist import Synapses

GATE_WEIGHT = 2  # of a synapse that makes a neuron fire by itself


def data_synapses(graph: Graph, node: Node, negated: dict[int, Array]) -> Iterator[Synapses]:
    """What a population receives from others, or a gate from its group; see `Silent`.

    ``negated`` keeps the weights of markers by the identity of the others, as slices share theirs.
    """
    target = node.result.name
    if isinstance(node.op, First):
        op = node.op
        channels = node.operands[0].type.shape[0]
        weights = np.full((channels, 1, *op.kernel), GATE_WEIGHT)
        pool = Convolve(op.strides, op.pads, op.dilations, channels)
        yield _synapses_of(graph, pool, node.operands[0], weights, target)
        return
    for synapse in layer_of(graph, node).synapses:
        source = synapse.operands[0]
        row = _synapses_of(graph, connection(synapse), source, weight_of(synapse), target)
        yield row
        if spikes_of(source).coding == "silent":
            if id(row.weights) not in negated:
                negated[id(row.weights)] = -row.weights
            weights = negated[id(row.weights)]
            yield replace(row, source=netlist.marker_name(row.source), weights=weights)


def _synapses_of(
    graph: Graph, op: Synapse, operand: Operand, weights: Array, target: str
) -> Synapses:
    name, image = sender_indices(graph, operand)
    order = None if np.array_equal(image.ravel(), np.arange(image.size)) else image.astype(np.int32)
    match op:
        case Connect():
            return Synapses(name, target, "matrix", weights, image.shape, order, op.delay)
        case Relay():
            return Synapses(name, target, "each", weights, image.shape, order, op.delay)
        case Convolve():
            rest = op.delay, op.strides, op.pads, op.dilations, op.groups
            return Synapses(name, target, "kernel", weights, image.shape, order, *rest)


def sender_indices(graph: Graph, operand: Operand) -> tuple[str, Array]:
    """Sending population behind views, and which of its neurons is where."""
    node = graph.producer(operand)
    assert node is not None
    if not isinstance(node.op, View):
        assert isinstance(operand, Value)
        return operand.name, np.arange(prod(operand.type.shape)).reshape(operand.type.shape)
    name, image = sender_indices(graph, node.operands[0])
    return name, arrange(node.op, image[None], *node.arrays)[0]


def synapse_op(row: Synapses) -> Synapse:
    """The spiking level's operation behind a row of data synapses."""
    match row.kind:
        case "matrix":
            return Connect()
        case "kernel":
            return Convolve(row.strides, row.pads, row.dilations, row.groups)
        case _:
            return Relay()


def summed_weights(row: Synapses, weights: Array) -> Array:
    """Sum of weights like a row's into each neuron; spreads over the neurons."""
    return weight_sums(synapse_op(row), weights, row.senders)
