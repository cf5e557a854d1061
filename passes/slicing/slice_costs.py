"""What one more slice of a value costs: its neurons, or the energy of a frame that these take.

Costs in energy are in synaptic events. A copy of a neuron is updated at all steps of a frame
interval, about two windows, and a synapse that reaches it has about half an event, as zeros send
none. Spikes that leave it are neglected: the upper slices of a value are mostly zero.
"""

from __future__ import annotations

from qcompiler.ir import Graph
from qcompiler.ir.types import size
from qcompiler.passes.folding.linear import fan_in_of
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.levels import coded_inputs, spiking_values
from qcompiler.passes.scheduling.frame_cost import PRICES, UPDATE

__all__ = ["PRICES", "WORTH", "slice_costs"]

# Least ratio of noise saved to costs added, both as shares. For energy it is what longer windows
# bring: from 8 to 10 levels ResNet-20 takes 9 % more energy and has 40 % less noise. Of neurons
# less is not worth it: with a ratio of 2.5 ResNet-20 has 4 % more, and as many answers change.
WORTH = 4.0
_EVENTS = 0.5  # of a synapse in a frame


def slice_costs(graph: Graph, t_max: int, price: str) -> dict[str, float]:
    """The cost of a slice, for each value that spikes, by name; the host's inputs have none."""
    neurons = {value.name: float(size(value.type)) for value in spiking_values(graph)}
    if price == "neurons":
        return neurons
    summed = {group.result.name: fan_in_of(group) for group in fusion_groups(graph)}
    for value in coded_inputs(graph):
        neurons[value.name] = 0.0
    return {
        name: count * (2 * t_max * UPDATE + _EVENTS * summed.get(name, 0))
        for name, count in neurons.items()
    }
