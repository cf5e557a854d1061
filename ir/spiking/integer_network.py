"""The integer network that a spiking graph computes, and the clock lines of its populations.

`layers` yields each population as weights, bias B and slope D. Other functions count neurons
and fan-in, and find clock synapses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qcompiler.ir.graph import Constant, Graph, Node, Operand
from qcompiler.ir.kernels import Array, pool_sum
from qcompiler.ir.snn import (
    Clock,
    Connect,
    Convolve,
    Encode,
    Fanout,
    First,
    Neuron,
    Population,
    Relay,
    Role,
)
from qcompiler.ir.types import Spikes, size

from .dynamics import merge_control_lines
from .input_bounds import Bounds, Drive, Incoming
from .synapse import weight_sums


@dataclass(frozen=True)
class Layer:
    """A population as ``q = clip(floor((sum W q + B) / D), 0, T)``.

    ``bias`` (B) and ``slope`` (D), integers in float64, broadcast over the neurons. So do
    ``bounds``, the calibrated bounds of its inputs; None if its limits are proved for all inputs.
    """

    node: Node
    synapses: tuple[Node, ...]
    bias: Array
    slope: Array
    bounds: Bounds | None = None

    @property
    def spikes(self) -> Spikes:
        """The population's shape and code."""
        return spikes_of(self.node.result)

    @cached_property
    def drive(self) -> Drive:
        """The synaptic input of the neurons and its bounds."""
        return Drive.of(map(incoming, self.synapses), len(self.spikes.shape), self.bounds)


def layers(graph: Graph) -> Iterator[Layer]:
    """The integer layer behind every neuron or population of a graph, in order."""
    for node in graph.nodes:
        if isinstance(node.op, Neuron | Population):
            yield layer_of(graph, node)


def layer_of(graph: Graph, node: Node) -> Layer:
    """The integer layer behind one neuron or population; KeyError if its readout is incomplete."""
    if isinstance(node.op, Neuron):
        bias, slope, *_ = node.arrays
        return _layer(graph, node, bias, slope)
    lines = fanouts(graph, node)
    assert isinstance(node.op, Population)
    slope = node.arrays[0] if node.op.coding == "burst" else weight_of(lines["readout"])
    return _layer(graph, node, weight_of(lines["bias"]), slope)


def _layer(graph: Graph, node: Node, bias: Array, slope: Array) -> Layer:
    """A layer in float64, so that sums and products do not overflow."""
    producers = map(graph.producer, node.operands)
    synapses = tuple(n for n in producers if n and isinstance(n.op, Convolve | Connect | Relay))
    wide = bias.astype(np.float64), slope.astype(np.float64)
    return Layer(node, synapses, *wide, bounds_of(node))


def bounds_of(node: Node) -> Bounds | None:
    """The calibrated bounds of a neuron or population; None if it has none."""
    if not isinstance(node.op, Neuron | Population) or not node.op.images:
        return None
    return Bounds(*node.arrays[-1].astype(np.float64))


def calibrated(graph: Graph) -> dict[str, Bounds]:
    """The calibrated bounds of every population that has some, by name."""
    found = ((node.result.name, bounds_of(node)) for node in graph.nodes)
    return {name: bounds for name, bounds in found if bounds is not None}


def fanouts(graph: Graph, node: Node) -> dict[Role, Node]:
    """The clock synapses of a population by role."""
    producers = (graph.producer(operand) for operand in node.operands)
    return {n.op.role: n for n in producers if n and isinstance(n.op, Fanout)}


def arrival(graph: Graph, fanout: Node) -> int:
    """The step at which a clock's spike reaches its population."""
    clock = graph.producer(fanout.operands[0])
    assert clock is not None and isinstance(clock.op, Clock)
    return clock.op.at + 1


def control_lines(graph: Graph, node: Node) -> dict[int, Array]:
    """Sum of the clock synapses of each neuron, per step of arrival.

    See `merge_control_lines`; arrays broadcast over the neurons. A reset at close takes the place
    of what a pulse would take back then.
    """
    sent = (_sent(graph, fanout) for fanout in fanouts(graph, node).values())
    lines = merge_control_lines(sent)
    if isinstance(node.op, Population) and node.op.coding == "silent":
        lines.pop(node.op.window[2], None)
    return lines


def _sent(graph: Graph, fanout: Node) -> tuple[int, bool, Array]:
    assert isinstance(fanout.op, Fanout)
    return arrival(graph, fanout), fanout.op.pulse, weight_of(fanout).astype(np.int64)


def weight_of(node: Node) -> Array:
    """The weights of a synapse or fanout."""
    weight = node.operands[1]
    assert isinstance(weight, Constant)
    return weight.data


def incoming(synapse: Node) -> Incoming:
    """A data synapse with its weights and the shape and top level of its source."""
    source = spikes_of(synapse.operands[0])
    silent = source.coding == "silent"
    return Incoming(connection(synapse), weight_of(synapse), source.shape, source.top, silent)


def connection(node: Node) -> Convolve | Connect | Relay:
    """The kind of a data synapse."""
    assert isinstance(node.op, Convolve | Connect | Relay)
    return node.op


def spikes_of(operand: Operand) -> Spikes:
    """The type of an operand that must be spikes."""
    assert isinstance(operand.type, Spikes)
    return operand.type


def fan_in(graph: Graph, node: Node) -> Array:
    """Number of synapses into each neuron of a spiking node: ``shape`` of the population.

    Synapses of weight 0 do not count, nor does the self-inhibition. Clock synapses that arrive in
    the same step count once, and a weight of more than 8 bits counts once. Inputs have none. The
    graph is one that insert-readout has finished.
    """
    shape = node.result.type.shape
    match node.op:
        case Population() | Neuron():
            counts = [_data_fan_in(synapse) for synapse in layer_of(graph, node).synapses]
            counts += [line != 0 for line in control_lines(graph, node).values()]
        case First() as op:
            counts = [pool_sum(np.ones((1, *node.operands[0].type.shape)), op, op.kernel)[0]]
        case _:
            counts = []
    found = np.zeros(shape, np.int64)
    for count in counts:
        found += np.asarray(count).astype(np.int64)
    return found


def _data_fan_in(synapse: Node) -> Array:
    return weight_sums(
        connection(synapse), weight_of(synapse), synapse.operands[0].type.shape, "synapses"
    )


def neuron_count(graph: Graph) -> int:
    """Neurons that spike: encoders, populations and pooling gates, without clocks."""
    return sum(size(node.result.type) for node in spiking_nodes(graph))


def spiking_nodes(graph: Graph) -> tuple[Node, ...]:
    """Every node whose neurons send spikes, in order."""
    return tuple(n for n in graph.nodes if isinstance(n.op, Encode | Neuron | Population | First))
