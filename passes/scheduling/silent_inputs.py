"""Whether the zeros of an input may be silent: who reads it, and what markers cost a reader."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Neuron, Relay
from qcompiler.ir.spiking.integer_network import connection, layer_of, spikes_of, weight_of
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.ir.view import View


def can_be_silent(graph: Graph, name: str, fan_in: int, most: int) -> bool:
    """Whether an encoder whose type is silent already has only readers that can take it.

    These are populations. With markers, no more than ``fan_in`` spikes reach a neuron, and the
    markers of one step add at most ``most`` to its input (0: no limit).
    """
    (value,) = (node.result for node in graph.nodes if node.result.name == name)
    synapses = list(_readers(graph, value))
    if not all(isinstance(node.op, Convolve | Connect | Relay) for node in synapses):
        return False
    names = {node.result.name for node in synapses}
    readers = (
        node
        for node in graph.nodes
        if isinstance(node.op, Neuron) and names & {operand.name for operand in node.operands}
    )
    return all(_fits(graph, node, fan_in, most) for node in readers)


def _readers(graph: Graph, value: Value) -> Iterator[Node]:
    """What reads a value, or a view of it."""
    for user in graph.users(value):
        if isinstance(user.op, View):
            yield from _readers(graph, user.result)
        else:
            yield user


def _fits(graph: Graph, node: Node, fan_in: int, most: int) -> bool:
    layer = layer_of(graph, node)
    axons = sum(_axons(synapse) for synapse in layer.synapses)
    bounds, net = layer.drive.bounds, layer.drive.net
    last = np.maximum(np.abs(net - bounds.most), np.abs(net - bounds.least))
    return not (fan_in and np.max(axons) > fan_in) and not (most and np.max(last) > most)


def _axons(synapse: Node) -> Array:
    """Spikes that reach each neuron; those of silent sources twice, for their markers."""
    source = spikes_of(synapse.operands[0])
    count = weight_sums(connection(synapse), weight_of(synapse) != 0, source.shape)
    return count * 2 if source.coding == "silent" else count
