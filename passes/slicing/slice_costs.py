"""What one more copy of a value costs: its neurons, or the energy of a frame that these take.

Costs in energy are in synaptic events. A copy of a neuron is updated at all steps of a frame
interval, about two windows. A synapse that reaches it, or that it reaches, has about half an event,
as zeros send none.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.ir import Graph, Node, Tensor, Value
from qcompiler.ir.ann import MaxPool
from qcompiler.ir.types import size
from qcompiler.ir.view import View
from qcompiler.passes.folding.linear import elements_summed, parameters
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.levels import coded_inputs, spiking_values
from qcompiler.passes.scheduling.frame_cost import PRICES, UPDATE

__all__ = ["EVENTS", "PRICES", "UPDATE", "Costs", "slice_costs"]

_Counts: TypeAlias = "defaultdict[str, float]"
EVENTS = 0.5  # of a synapse in a frame


class Costs(NamedTuple):
    """The cost of a copy of each value that spikes, by name, and that of the whole network."""

    copies: dict[str, float]
    whole: float


def slice_costs(graph: Graph, t_max: int, price: str) -> Costs:
    """The costs of copies; those of the host's inputs cost nothing."""
    neurons = {value.name: float(size(value.type)) for value in spiking_values(graph)}
    if price == "neurons":
        return Costs(neurons, sum(neurons.values()))
    for value in coded_inputs(graph):
        neurons[value.name] = 0.0
    into, out = _synapses(graph)
    for node in graph.nodes:
        if isinstance(node.op, MaxPool) and neurons.get(name := _sender(graph, node.result).name):
            neurons[name] += size(node.result.type)
    updates = {name: 2 * t_max * UPDATE * count for name, count in neurons.items()}
    copies = {
        name: cost + EVENTS * (into[name] + out[name]) if neurons[name] else 0.0
        for name, cost in updates.items()
    }
    return Costs(copies, sum(updates.values()) + EVENTS * sum(into.values()))


def _synapses(graph: Graph) -> tuple[_Counts, _Counts]:
    """The synapses that reach each value, and those that it reaches, borders aside."""
    into, out = defaultdict[str, float](float), defaultdict[str, float](float)
    for group in fusion_groups(graph):
        for branch in group.branches:
            summed = _summed(branch.linear) if branch.linear else 1.0
            digits = branch.source.type.digits if isinstance(branch.source.type, Tensor) else 1
            into[group.result.name] += size(group.result.type) * summed * digits
            out[_sender(graph, branch.source).name] += size(group.result.type) * summed
    return into, out


def _summed(linear: Node) -> float:
    """Elements that each element of a result sums; weights that are zero are no synapses."""
    found = elements_summed(linear)
    weights = parameters(linear)
    return found if weights is None else found * float(np.mean(weights[0] != 0))


def _sender(graph: Graph, value: Value) -> Value:
    """The value that a pool or view hands on."""
    made = graph.producer(value)
    while made is not None and isinstance(made.op, MaxPool | View):
        assert isinstance(made.operands[0], Value)
        value = made.operands[0]
        made = graph.producer(value)
    return value
