"""Make spikes compute the integer neuron: bias, hold, counterweight, readout and forced spike.

For a neuron with slope D, bias B and a window (open, read, close), all from quantised weights:

    bias = B, a pulse at open     counterweight = -sum(W)       readout = D

Threshold, hold, release and force follow from the extremes of the membrane: the largest sums of
excitation and inhibition, or bounds observed on calibration data (see `ir.spiking.dynamics`). At
the read step the counterweight cancels the input current. Then the membrane rises by D per step and
crosses the threshold ``T - q`` steps later, where q is the level of the neuron.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import Constant, Graph, Invariant, Node, Tick, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Clock, Fanout, Neuron, Population, Role, Window
from qcompiler.ir.spiking.codes import CODES, Code
from qcompiler.ir.spiking.frames import frame_interval, neurons_of
from qcompiler.ir.spiking.integer_network import layer_of
from qcompiler.ir.spiking.invariants import READ_OUT, SCHEDULED, SPIKING
from qcompiler.ir.types import Current
from qcompiler.passes.base import Pass


@dataclass(frozen=True)
class InsertReadout(Pass):
    """Turn every integer neuron into a population with clocks and their synapses."""

    name: ClassVar[str] = "insert-readout"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED, READ_OUT)

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite neuron by neuron; all populations share the clocks of each step."""
        clocks: dict[int, Node] = {}
        nodes: list[Node] = []
        interval = frame_interval(graph)
        for node in graph.nodes:
            nodes.extend(
                _population(graph, node, clocks, interval)
                if isinstance(node.op, Neuron)
                else [node]
            )
        return replace(graph, nodes=(*clocks.values(), *nodes))


def _population(graph: Graph, node: Node, clocks: dict[int, Node], interval: int) -> list[Node]:
    op = node.op
    assert isinstance(op, Neuron) and op.window is not None
    window, code = Window(*op.window), CODES[op.coding]
    neurons = neurons_of(layer_of(graph, node), window, interval)
    fanouts = [
        _fanout(
            graph, node, role, weight, code, _clock(graph, clocks, code.arrival_step(role, window))
        )
        for role, weight in code.clock_weights(neurons).items()
    ]
    kind = op.t_max, op.scale, op.zero, code.threshold(neurons), op.window, op.images, op.margin
    population = Population(*kind, op.coding)
    currents = [operand for operand in node.operands if isinstance(operand, Value)]
    _, slope, *bounds = (operand for operand in node.operands if not isinstance(operand, Value))
    constants = bounds if code.keeps_currents else (slope, *bounds)
    operands = (*currents, *(fanout.result for fanout in fanouts), *constants)
    return [*fanouts, replace(node, op=population, operands=operands)]


def _clock(graph: Graph, clocks: dict[int, Node], arrival: int) -> Value:
    at = arrival - 1
    if at not in clocks:
        clocks[at] = Node(Clock(at), (), Value(graph.fresh(f"clock:{at}"), Tick()))
    return clocks[at].result


def _fanout(graph: Graph, node: Node, role: Role, weight: Array, code: Code, clock: Value) -> Node:
    shape, name = node.result.type.shape, node.result.name
    constant = Constant(f"{name}:{role}.weight", weight.astype(np.int32))
    op = Fanout(shape, role, role in code.pulses)
    return Node(
        op, (clock, constant), Value(graph.fresh(f"{name}:{role}"), Current(shape)), node.origin
    )
