"""Invariants that passes require and establish, from the tensor level to the final network.

Together they ensure that the spikes compute the integer network bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcompiler.ir.ann import BatchNorm, Concat, OnHost, Rescale
from qcompiler.ir.diagnostics import Diagnostic
from qcompiler.ir.formats.text import OPS
from qcompiler.ir.graph import Graph, Node, Value
from qcompiler.ir.snn import Encode, Fanout, Neuron, Population, Window
from qcompiler.ir.types import Tensor
from qcompiler.ir.verify import Invariant

from .codes import CODES
from .frames import frame_interval, neurons_of
from .input_bounds import Bounds
from .integer_network import arrival, fanouts, layer_of, layers, spikes_of, weight_of
from .window_checks import scheduled


def _no_batchnorm(graph: Graph) -> Iterator[Diagnostic]:
    for node in graph.nodes:
        if isinstance(node.op, BatchNorm):
            yield Diagnostic(
                "batch normalisation is left in the graph",
                node.origin,
                "run fold-batchnorm before this pass",
            )


def _tensor_level(graph: Graph) -> Iterator[Diagnostic]:
    for node in graph.nodes:
        if node.op.mnemonic.startswith("snn."):
            message = f"%{node.result.name} is at the spiking level already"
            yield Diagnostic(message, node.origin, "run this pass before quantize")
            return
    yield from _foreign(graph)


def _foreign(graph: Graph) -> Iterator[Diagnostic]:
    """Operations that only the passes of a user know: text has none."""
    for node in graph.nodes:
        if node.op.mnemonic not in OPS:
            message = f"%{node.result.name} is made by {node.op.mnemonic}, which is not built in"
            yield Diagnostic(message, node.origin, "have a pass before this one replace it")


def _no_readout(graph: Graph) -> Iterator[Diagnostic]:
    for node in graph.nodes:
        if isinstance(node.op, Population):
            message = f"%{node.result.name} has its readout already"
            yield Diagnostic(message, node.origin, "run this pass before insert-readout")
            return


def _spiking(graph: Graph) -> Iterator[Diagnostic]:
    yield from _foreign(graph)
    host = Concat | OnHost | Rescale
    for node in graph.nodes:
        if node.op.mnemonic.startswith("ann.") and not isinstance(node.op, host):
            yield Diagnostic(
                f"{node.op.mnemonic} is left at the tensor level",
                node.origin,
                "run quantize before this pass",
            )
    for value in graph.outputs:
        if graph.producer(value) is None or not isinstance(value.type, Tensor):
            yield Diagnostic(f"the output %{value.name} is not decoded from spikes")
    for node in graph.nodes:
        if isinstance(node.op, Encode) and graph.producer(node.operands[0]) is not None:
            yield Diagnostic(
                f"%{node.result.name} encodes a value that is not a graph input", node.origin
            )
        values = [operand for operand in node.operands if isinstance(operand, Value)]
        if isinstance(node.op, host) and None in map(graph.producer, values):
            yield Diagnostic(
                f"%{node.result.name} reads a graph input directly: it must read decoded spikes",
                node.origin,
            )
        if isinstance(node.op, Fanout) and weight_of(node).dtype.kind != "i":
            yield Diagnostic("weights of clock synapses must be integers", node.origin)
    for layer in layers(graph) if _complete(graph) else ():
        if not all(np.all(part == np.rint(part)) for part in (layer.bias, layer.slope)):
            yield Diagnostic("bias and slope must be integers", layer.node.origin)
        elif np.min(layer.slope) < 1:
            yield Diagnostic("every slope must be at least 1", layer.node.origin)
        if layer.bounds is not None and not _around_zero(layer.bounds):
            yield Diagnostic(
                f"the calibrated bounds of %{layer.node.result.name} exclude a membrane at rest",
                layer.node.origin,
            )
        if not layer.synapses:
            yield Diagnostic("a population has no data synapse", layer.node.origin)
        for synapse in layer.synapses:
            if weight_of(synapse).dtype.kind != "i":
                yield Diagnostic("weights of synapses must be integers", synapse.origin)


def _around_zero(bounds: Bounds) -> bool:
    """Whether bounds include a neuron without input and no lower bound exceeds its upper one."""
    low, high = (bounds.lowest, bounds.fall), (bounds.highest, bounds.rise)
    return (
        all(np.all(part <= 0) for part in low)
        and all(np.all(part >= 0) for part in high)
        and bool(np.all(bounds.lowest <= bounds.final) and np.all(bounds.least <= bounds.most))
        and bool(np.all(bounds.final <= bounds.highest))
    )


def _complete(graph: Graph) -> bool:
    return all(
        set(fanouts(graph, n)) == set(CODES[n.op.coding].roles)
        for n in graph.nodes
        if isinstance(n.op, Population)
    )


def _read_out(graph: Graph) -> Iterator[Diagnostic]:
    populations = [node for node in graph.nodes if isinstance(node.op, Population)]
    interval = frame_interval(graph) if populations else 1
    for node in graph.nodes:
        if isinstance(node.op, Neuron):
            yield Diagnostic(
                f"%{node.result.name} has no readout", node.origin, "run insert-readout"
            )
        if isinstance(node.op, Population):
            yield from _readout_of(graph, node, node.op, interval)


def _readout_of(graph: Graph, node: Node, op: Population, interval: int) -> Iterator[Diagnostic]:
    lines, code = fanouts(graph, node), CODES[op.coding]
    if missing := [role for role in code.roles if role not in lines]:
        yield Diagnostic(f"%{node.result.name} has no {', '.join(missing)} synapse", node.origin)
        return
    for role, fanout in lines.items():
        assert isinstance(fanout.op, Fanout)
        if arrival(graph, fanout) != code.arrival_step(role, Window(*op.window)):
            yield Diagnostic(f"the {role} synapse of %{node.result.name} acts at the wrong step")
        if fanout.op.pulse != (role in code.pulses):
            yield Diagnostic(
                f"the {role} synapse of %{node.result.name} has the wrong kind: pulse or constant"
            )
    layer = layer_of(graph, node)
    constants = bool(op.images) + (not code.keeps_currents)
    if len(node.operands) != len(code.roles) + len(layer.synapses) + constants:
        yield Diagnostic(
            f"%{node.result.name} has operands other than data synapses, clock synapses and bounds",
            node.origin,
        )
    for synapse in layer.synapses:
        found = spikes_of(synapse.operands[0]).coding
        if CODES[found].keeps_currents != code.keeps_currents:
            yield Diagnostic(
                f"%{node.result.name} is a {op.coding} population and reads {found} spikes",
                node.origin,
            )
    neurons = neurons_of(layer, Window(*op.window), interval)
    weights = {role: weight_of(fanout) for role, fanout in lines.items()}
    for fault in code.faults(neurons, weights, op.threshold):
        yield Diagnostic(
            fault.message.format(name=f"%{node.result.name}"), node.origin, fault.remedy
        )


TENSOR_LEVEL = Invariant("tensor-level", _tensor_level)
NO_BATCHNORM = Invariant("no-batchnorm", _no_batchnorm)
SPIKING = Invariant("spiking", _spiking)
SCHEDULED = Invariant("scheduled", scheduled)
NO_READOUT = Invariant("no-readout", _no_readout)
READ_OUT = Invariant("read-out", _read_out)


def within(limit: int, name: str) -> Invariant:
    """The invariant that all membrane potentials and partial sums stay within ``+-limit``."""

    def check(graph: Graph) -> Iterator[Diagnostic]:
        for layer in layers(graph):
            reach = np.abs(layer.bias) + layer.slope * (layer.spikes.t_max + 1)
            span = layer.drive.lift + layer.drive.depth + reach
            if (worst := np.max(span)) > limit:
                yield Diagnostic(
                    f"membrane potentials of %{layer.node.result.name} can reach {worst:.0f}, "
                    f"the limit is {limit}",
                    layer.node.origin,
                    "use a smaller t_max or fewer weight bits",
                )

    return Invariant(name, check)
