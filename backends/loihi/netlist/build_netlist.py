"""Builds the netlist of a compiled graph: all data that a simulator or a chip needs.

Nothing in a netlist refers to the graph. Neurons are numbered in C order of their population's
shape; convolutions stay kernels; views have become other numbers of the sending neurons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.snn import Decode, Encode, Population
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.coding import code_of_output
from qcompiler.ir.spiking.frames import frame_interval, neurons_of, window_of
from qcompiler.ir.spiking.integer_network import control_lines, layer_of, spikes_of, spiking_nodes
from qcompiler.ir.spiking.senders import has_synapses, sender

from . import netlist
from .data_synapses import GATE_WEIGHT, data_synapses, sender_indices, summed_weights
from .netlist import CLOCK, Netlist, Source, Synapses
from .synapse_matrices import MAX_WEIGHT

_GATE_THRESHOLD = 1
_MARKER_THRESHOLD = 3  # which its neuron and the clock exceed together


def build_netlist(graph: Graph) -> Netlist:
    """The netlist of a compiled graph; ProgramError if it has no windows yet."""
    nodes = spiking_nodes(graph)
    spans = [window_of(node) for node in nodes]
    latency = max((close for _, _, close in spans), default=-1) + 1
    interval = frame_interval(graph)
    outputs = tuple(_outputs(graph))
    encoders = [(node, node.op) for node in nodes if isinstance(node.op, Encode)]
    sources = tuple(row for node, op in encoders for row in _input_sources(graph, node, op))
    driven = [node for node in nodes if not isinstance(node.op, Encode)]
    markers = tuple(group for node in driven for group in _markers(graph, node))
    populations = tuple(map(_population, driven))
    pairs = zip(driven, populations, strict=True)
    negated: dict[int, Array] = {}
    rows = [row for pair in pairs for row in _synapses(graph, *pair, interval, negated)]
    rows += [row for group in markers for row in _marker_synapses(group)]
    groups = (*populations, *markers)
    return Netlist(sources, groups, tuple(rows), outputs, interval, latency)


def _input_sources(graph: Graph, node: Node, op: Encode) -> Iterator[Source]:
    """The source of a digit, and that of its markers if it has any."""
    assert op.start is not None
    operand = node.operands[0]
    name, shape = node.result.name, node.result.type.shape
    code = op.t_max, op.scale, op.zero
    digit = op.digits, op.digit, op.coding
    source = Source(name, operand.name, shape, *code, op.start, *digit, *node.arrays)
    yield source
    if _has_markers(graph, node):
        yield replace(source, name=netlist.marker_name(name), coding="marker")


def _population(node: Node) -> netlist.Population:
    name, shape = node.result.name, node.result.type.shape
    code, threshold, slope = CODES[spikes_of(node.result).coding], _GATE_THRESHOLD, None
    keeps = code.keeps_currents and isinstance(node.op, Population)
    if isinstance(node.op, Population):
        threshold = node.op.threshold
        slope = None if keeps else node.arrays[0]
    window = window_of(node)
    reset = code.reset_step(window) if isinstance(node.op, Population) else window.open
    reset = -1 if reset == window.open else reset
    neurons = netlist.Population(name, shape, keeps, threshold, *window, node.origin)
    return replace(neurons, coding=code.name, reset=reset, bias=slope)


def _has_markers(graph: Graph, node: Node) -> bool:
    """Whether zeros are silent, and synapses read the markers; see `Silent`."""
    coding = spikes_of(node.result).coding
    return CODES[coding].has_markers and has_synapses(graph, node.result)


def _markers(graph: Graph, node: Node) -> Iterator[netlist.Population]:
    """The population of a node's markers, if it has any."""
    if _has_markers(graph, node):
        name, window = netlist.marker_name(node.result.name), window_of(node)
        read, close = window.read, window.close
        gate = node.result.type.shape, False, _MARKER_THRESHOLD
        yield netlist.Population(name, *gate, read, close, close, node.origin, "marker")


def _marker_synapses(group: netlist.Population) -> Iterator[Synapses]:
    """What makes a marker: its neuron's spike, and a clock at close."""
    weight = np.full((1,) * len(group.shape), GATE_WEIGHT)
    source = netlist.marked_name(group.name)
    yield Synapses(source, group.name, "each", weight, group.shape)
    yield Synapses(CLOCK, group.name, "clock", weight[None].astype(np.int32), ticks=(group.close,))


def _outputs(graph: Graph) -> Iterator[netlist.Output]:
    for node in graph.nodes:
        if isinstance(node.op, Decode):
            code, places = code_of_output(node), node.op.places or (1,)
            pieces = node.operands[: len(places)]
            names = tuple(sender_indices(graph, operand)[0] for operand in pieces)
            _, indices = sender_indices(graph, pieces[0])
            shape = sender(graph, pieces[0]).result.type.shape
            arrays = (_by_neuron(array, indices, shape) for array in node.arrays)
            yield netlist.Output(names, code.scale, code.zero, code.top, places, *arrays)


def _by_neuron(array: Array, indices: Array, shape: tuple[int, ...]) -> Array:
    """One number for each neuron of the sending population; ``indices`` tells which is where."""
    found = np.ones(shape, np.float32)
    found.reshape(-1)[indices] = array
    return found


def _synapses(
    graph: Graph,
    node: Node,
    group: netlist.Population,
    interval: int,
    negated: dict[int, Array],
) -> list[Synapses]:
    """Everything that reaches a population: data, clocks, and its own spikes."""
    rows = list(data_synapses(graph, node, negated))
    if isinstance(node.op, Population):
        rows += _clock_synapses(graph, node, group)
        neurons = neurons_of(layer_of(graph, node), window_of(node), interval)
        lines = control_lines(graph, node)
        own = CODES[node.op.coding].self_weight(neurons, lines, group.threshold)
    elif not CODES[spikes_of(node.result).coding].gates_inhibit:
        return rows
    else:
        (row,) = rows
        own = -summed_weights(row, row.weights).max(keepdims=True)
    if own.any():
        rows.append(Synapses(group.name, group.name, "each", _rounded(own), group.shape))
    return rows


def _clock_synapses(graph: Graph, node: Node, group: netlist.Population) -> list[Synapses]:
    lines = control_lines(graph, node)
    if not lines:  # what clocks send can cancel altogether
        return []
    rank = len(group.shape)
    full = [expand_to_rank(weight, rank) for weight in lines.values()]
    spread = np.broadcast_shapes((1,) * rank, *(weight.shape for weight in full))
    weights = np.stack([np.broadcast_to(weight, spread) for weight in full]).astype(np.int32)
    return [Synapses(CLOCK, group.name, "clock", weights, ticks=tuple(lines))]


def _rounded(needed: Array) -> Array:
    """At least this much, in as few 8-bit weights as possible; see `split_weights`."""
    amount = np.abs(needed)
    unit = np.where(amount <= MAX_WEIGHT, 2, 256)
    found: Array = (np.sign(needed) * np.ceil(amount / unit) * unit).astype(np.int64)
    return found
