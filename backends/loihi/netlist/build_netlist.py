"""Builds the netlist of a compiled graph: all data that a simulator or a chip needs.

Nothing in a netlist refers to the graph. Neurons are numbered in C order of their population's
shape; convolutions stay kernels; views have become other numbers of the sending neurons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Operand, ProgramError, Spikes, Value
from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.snn import (
    Connect,
    Convolve,
    Decode,
    Encode,
    First,
    Population,
    Relay,
    Synapse,
    Window,
)
from qcompiler.ir.spiking.coding import code_of_output
from qcompiler.ir.spiking.dynamics import Dynamics
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming
from qcompiler.ir.spiking.integer_network import (
    connection,
    control_lines,
    layer_of,
    sender,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.ir.view import View, arrange

from . import netlist
from .netlist import CLOCK, Netlist, Source, Synapses
from .synapse_matrices import MAX_WEIGHT

_GATE_THRESHOLD = 1
_GATE_WEIGHT = 2


def build_netlist(graph: Graph) -> Netlist:
    """The netlist of a compiled graph; ProgramError if it has no windows yet."""
    nodes = spiking_nodes(graph)
    spans = [_window(node) for node in nodes]
    latency = max((close for _, _, close in spans), default=-1) + 1
    interval = frame_interval(graph)
    outputs = tuple(_outputs(graph))
    sources = tuple(_input_source(node, node.op) for node in nodes if isinstance(node.op, Encode))
    driven = [node for node in nodes if not isinstance(node.op, Encode)]
    populations = tuple(map(_population, driven))
    found = Netlist(sources, populations, (), outputs, interval, latency)
    pairs, max_levels = zip(driven, populations, strict=True), found.max_levels
    rows = (row for node, group in pairs for row in _synapses(graph, node, group, max_levels))
    return replace(found, synapses=tuple(rows))


def frame_interval(graph: Graph) -> int:
    """The smallest number of steps between two frames.

    A population is reset at its first step (open). The last thing to reach it in a frame is the
    inhibition by its own spike, one step after its last step (close): that must come before the
    next frame's reset, so ``open + interval > close + 1``. A source needs its ``t_max`` steps.
    Raises ProgramError if the graph has no windows yet.
    """
    needed = 1
    for node in spiking_nodes(graph):
        opens, _, close = _window(node)
        needed = max(needed, close - opens + (1 if isinstance(node.op, Encode) else 2))
    return needed


def _window(node: Node) -> tuple[int, int, int]:
    match node.op:
        case Population(window=window):
            return window
        case Encode(start=int(start)) | First(start=int(start)):
            assert isinstance(node.result.type, Spikes)
            return start, start, start + node.result.type.top
    raise ProgramError(f"%{node.result.name} has no window: run assign-windows and insert-readout")


def _input_source(node: Node, op: Encode) -> Source:
    assert op.start is not None
    operand = node.operands[0]
    name, shape = node.result.name, node.result.type.shape
    code = op.t_max, op.scale, op.zero
    return Source(name, operand.name, shape, *code, op.start, op.digits, op.digit, *node.arrays)


def _population(node: Node) -> netlist.Population:
    integrate = isinstance(node.op, Population)
    threshold = node.op.threshold if isinstance(node.op, Population) else _GATE_THRESHOLD
    name, shape = node.result.name, node.result.type.shape
    return netlist.Population(name, shape, integrate, threshold, *_window(node), node.origin)


def _outputs(graph: Graph) -> Iterator[netlist.Output]:
    for node in graph.nodes:
        if isinstance(node.op, Decode):
            code, places = code_of_output(node), node.op.places or (1,)
            pieces = node.operands[: len(places)]
            names = tuple(_sender_indices(graph, operand)[0] for operand in pieces)
            _, indices = _sender_indices(graph, pieces[0])
            shape = sender(graph, pieces[0]).result.type.shape
            arrays = (_by_neuron(array, indices, shape) for array in node.arrays)
            yield netlist.Output(names, code.scale, code.zero, code.top, places, *arrays)


def _by_neuron(array: Array, indices: Array, shape: tuple[int, ...]) -> Array:
    """One number for each neuron of the sending population; ``indices`` tells which is where."""
    found = np.ones(shape, np.float32)
    found.reshape(-1)[indices] = array
    return found


def _synapses(
    graph: Graph, node: Node, group: netlist.Population, max_levels: Mapping[str, int]
) -> list[Synapses]:
    """Everything that reaches a population: data, clocks, and the inhibition by its own spikes."""
    rows = list(_data_synapses(graph, node))
    if group.persistent:
        rows += _clock_synapses(graph, node, group)
        inhibition = _inhibition(population_dynamics(group, rows, max_levels).silence())
    else:
        (row,) = rows
        inhibition = _inhibition(summed_weights(row, row.weights).max(keepdims=True))
    rows.append(Synapses(group.name, group.name, "each", -inhibition, group.shape))
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


def _data_synapses(graph: Graph, node: Node) -> Iterator[Synapses]:
    target = node.result.name
    if isinstance(node.op, First):
        op = node.op
        channels = node.operands[0].type.shape[0]
        weights = np.full((channels, 1, *op.kernel), _GATE_WEIGHT)
        pool = Convolve(op.strides, op.pads, op.dilations, channels)
        yield _synapses_of(graph, pool, node.operands[0], weights, target)
        return
    for synapse in layer_of(graph, node).synapses:
        yield _synapses_of(
            graph, connection(synapse), synapse.operands[0], weight_of(synapse), target
        )


def _synapses_of(
    graph: Graph, op: Synapse, operand: Operand, weights: Array, target: str
) -> Synapses:
    name, image = _sender_indices(graph, operand)
    order = None if np.array_equal(image.ravel(), np.arange(image.size)) else image.astype(np.int32)
    match op:
        case Connect():
            return Synapses(name, target, "matrix", weights, image.shape, order, op.delay)
        case Relay():
            return Synapses(name, target, "each", weights, image.shape, order, op.delay)
        case Convolve():
            rest = op.delay, op.strides, op.pads, op.dilations, op.groups
            return Synapses(name, target, "kernel", weights, image.shape, order, *rest)


def _sender_indices(graph: Graph, operand: Operand) -> tuple[str, Array]:
    """Sending population behind views, and which of its neurons is where."""
    node = graph.producer(operand)
    assert node is not None
    if not isinstance(node.op, View):
        assert isinstance(operand, Value)
        return operand.name, np.arange(prod(operand.type.shape)).reshape(operand.type.shape)
    name, image = _sender_indices(graph, node.operands[0])
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


def population_dynamics(
    group: netlist.Population,
    rows: Iterable[Synapses],
    max_levels: Mapping[str, int],
    calibrated: Bounds | None = None,
) -> Dynamics:
    """The worst case of a persistent population, or the worst that its calibrated bounds allow.

    ``tops`` are the senders' highest levels.
    """
    incoming = []
    lines: dict[int, Array] = {}
    for row in rows:
        if row.kind == "clock":
            lines = dict(zip(row.ticks, row.weights.astype(np.float64), strict=True))
        elif row.source != group.name:
            top = max_levels[row.source]
            incoming.append(Incoming(synapse_op(row), row.weights, row.senders, top))
    window = Window(group.open, group.read, group.close)
    drive = Drive.of(incoming, len(group.shape), calibrated)
    return Dynamics(drive, lines, window, group.threshold)


def _inhibition(needed: Array) -> Array:
    """At least this much, in as few 8-bit weights as possible; see `split_weights`."""
    unit = np.where(needed <= MAX_WEIGHT, 2, 256)
    rounded: Array = (np.ceil(needed / unit) * unit).astype(np.int64)
    return rounded
