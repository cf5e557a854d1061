"""Which values may keep silent about zeros, and which of them save by it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First, Neuron
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import (
    connection,
    layer_of,
    spikes_of,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.spiking.senders import has_synapses, sender
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.ir.types import size

from .activity import Activity
from .frame_cost import UPDATE, synapses_to

_OWN = 4  # events of force and inhibition that a silent population saves a neuron


def savings(graph: Graph, active: Mapping[str, Activity]) -> dict[str, float]:
    """Events a frame that each encoder or neuron saves with silent zeros, less if below 0.

    What its gates save, which follow it, is included.
    """
    found: dict[str, float] = defaultdict(float)
    interval = frame_interval(graph)
    for node in spiking_nodes(graph):
        root, share = _root(graph, node), active[node.result.name].share
        count = size(node.result.type)
        if isinstance(node.op, Neuron):
            found[root] += _OWN * count
        if _has_markers(graph, node):
            found[root] -= count * (UPDATE * interval + 1 + share)
        for source, reached in synapses_to(graph, node):
            spikes = 1 if isinstance(node.op, First) else 2  # synapses hear markers, too
            sent = spikes * active[source.result.name].share
            found[_root(graph, source)] += float(reached.sum()) * (1 - sent)
    return found


def marked(graph: Graph) -> set[str]:
    """Encoders and neurons whose silent zeros take neurons, for markers: their own or gates'."""
    return {_root(graph, node) for node in spiking_nodes(graph) if _has_markers(graph, node)}


def _has_markers(graph: Graph, node: Node) -> bool:
    """Whether silent zeros of a node need a neuron each; the host sends the markers of inputs."""
    return not isinstance(node.op, Encode) and has_synapses(graph, node.result)


def _root(graph: Graph, node: Node) -> str:
    """The encoder or neuron behind a gate."""
    while isinstance(node.op, First):
        node = sender(graph, node.operands[0])
    return node.result.name


def can_be_silent(graph: Graph, names: Iterable[str], fan_in: int) -> bool:
    """Whether the readers of encoders and neurons have axons for the markers of these.

    The types of these are silent already. No more than ``fan_in`` spikes reach a neuron, markers
    included (0: no limit).
    """
    wanted = set(names)
    return not fan_in or all(
        np.max(sum(_axons(layer_of(graph, node).synapses))) <= fan_in
        for node in graph.nodes
        if isinstance(node.op, Neuron)
        and any(
            _root(graph, sender(graph, synapse.operands[0])) in wanted
            for synapse in layer_of(graph, node).synapses
        )
    )


def _axons(synapses: Iterable[Node]) -> Iterator[Array]:
    """Spikes that reach each neuron; those of silent sources twice, for their markers."""
    for synapse in synapses:
        source = spikes_of(synapse.operands[0])
        count = weight_sums(connection(synapse), weight_of(synapse), source.shape, "synapses")
        yield count * 2 if source.coding == "silent" else count
