"""What a frame costs in a code, from the activity on calibration images.

Costs are in synaptic events. A neuron's update at one step costs `UPDATE` of them: 81 pJ by 23.6 pJ
on Loihi 1 (Davies et al., IEEE Micro 38(1), 2018, Table 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.kernels import Array, pool_sum
from qcompiler.ir.snn import Encode, First, Population
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.frames import frame_interval, window_of
from qcompiler.ir.spiking.integer_network import (
    connection,
    control_lines,
    layer_of,
    spikes_of,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.spiking.senders import has_synapses, sender
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.ir.types import size

from .activity import Activity

UPDATE = 3.4  # events that cost what a neuron costs at one step
PRICES = "neurons", "energy"  # by which passes weigh what a program takes
_MOST, _COARSE = 127, 256  # units of one synapse, and the unit of what is more than it holds


class FrameCost(NamedTuple):
    """What a frame takes of a chip: neurons, markers included, and energy, in events.

    Clocks are no part of ``neurons``, but are updated as these are.
    """

    neurons: int
    energy: float


def frame_cost(graph: Graph, active: Mapping[str, Activity]) -> FrameCost:
    """The cost of one frame of a graph that `InsertReadout` has finished, frames in a row."""
    neurons, events, ticks = 0, 0.0, set[int]()
    for node in spiking_nodes(graph):
        code, own = CODES[spikes_of(node.result).coding], active[node.result.name]
        count = size(node.result.type)
        if isinstance(node.op, Encode):
            continue
        neurons += count
        if code.has_markers and has_synapses(graph, node.result):
            neurons += count
            events += count * (1 + own.share)  # a clock, and the neuron's spike
            ticks.add(window_of(node).close)
        lines = control_lines(graph, node) if isinstance(node.op, Population) else {}
        ticks |= lines.keys()
        events += sum(part.sum() for part in _received(graph, node, active))
        for synapses in clock_synapses([*lines.values()]):
            events += np.broadcast_to(synapses, node.result.type.shape).sum()
        if isinstance(node.op, First):
            events += count * own.share if code.gates_inhibit else 0
        elif not code.has_markers:  # else nothing makes it silent, or spike again
            events += count * sends(code.name, own)
    updated = neurons + len(ticks)
    return FrameCost(neurons, UPDATE * updated * frame_interval(graph) + events)


def sends(coding: str, active: Activity) -> float:
    """Spikes of a value in a code, without its marker."""
    return {"one-spike": 1.0, "silent": active.share, "burst": active.mean}[coding]


def synapses_to(graph: Graph, node: Node) -> Iterator[tuple[Node, Array]]:
    """The source and the number of synapses into each neuron, for each of its inputs."""
    if isinstance(node.op, First):
        ones = np.ones((1, *node.operands[0].type.shape))
        yield sender(graph, node.operands[0]), pool_sum(ones, node.op, node.op.kernel)[0]
    elif not isinstance(node.op, Encode):
        for synapse in layer_of(graph, node).synapses:
            shape = synapse.operands[0].type.shape
            count = weight_sums(connection(synapse), weight_of(synapse), shape, "synapses")
            spread = np.broadcast_to(count, node.result.type.shape)
            yield sender(graph, synapse.operands[0]), spread


def _received(graph: Graph, node: Node, active: Mapping[str, Activity]) -> Iterator[Array]:
    """Events of data into each neuron."""
    for source, count in synapses_to(graph, node):
        coding = spikes_of(source.result).coding
        marked = CODES[coding].has_markers and not isinstance(node.op, First)
        yield count * sends(coding, active[source.result.name]) * (1 + marked)


def clock_synapses(lines: Sequence[Array]) -> Iterator[Array]:
    """Of how many synapses of 8 bits each weight of a population's clocks consists, line by line.

    As a chip has them: one, of the largest unit that all have, or a fine one and coarse ones.
    """
    bits = 0
    for line in lines:
        bits |= int(np.bitwise_or.reduce(line, axis=None))
    unit = min(bits & -bits or 2, _COARSE)
    wide = any(np.abs(line).max() > _MOST * unit for line in lines)
    for line in lines:
        fine = (line + _COARSE // 2) % _COARSE - _COARSE // 2
        coarse = np.abs(line - fine) // _COARSE
        yield (fine != 0) + -(-coarse // _MOST) if wide else line != 0
