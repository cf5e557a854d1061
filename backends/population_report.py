"""What a report says of each population: its size, steps, weights and delays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qcompiler.backends.energy.wiring import Wiring
from qcompiler.ir import Graph, Node
from qcompiler.ir.snn import Population, Relay
from qcompiler.ir.spiking.decoded_outputs import split_outputs
from qcompiler.ir.spiking.integer_network import Layer, connection, layer_of, spikes_of, weight_of
from qcompiler.ir.spiking.senders import sender, start
from qcompiler.ir.types import size


@dataclass(frozen=True)
class PopulationReport:
    """One population; steps count from the start of the frame.

    ``weight_bits`` is the width, sign included, that the weights of the median output channel use:
    less than requested where potentials would exceed their limit. ``cores`` is the number of cores
    of the target's chip, ``core_use`` the used share of each resource on the fullest core; both
    are None for a target without a chip. If ``shares_core``, its core holds others, too.
    ``delays`` holds the synaptic delays in steps, by source, without those of 0. Where a synapse
    cannot delay enough, a population of kind "relay" does.

    ``synapses`` are those that its neurons receive, with weights of 8 bits: of data, of the clock
    and of their own inhibition. ``energy_uj`` is what a frame costs here, as in `Report`.
    """

    name: str
    kind: str
    neurons: int
    synapses: int
    t_max: int
    first_step: int
    last_step: int
    weight_bits: int | None
    origin: tuple[str, ...]
    cores: int | None = None
    core_use: Mapping[str, float] | None = None
    shares_core: bool = False
    delays: Mapping[str, int] = field(default_factory=dict)
    energy_uj: Mapping[str, float] = field(default_factory=dict)


def population_report(graph: Graph, node: Node, wiring: Wiring) -> PopulationReport:
    """The report on one population, input or gate, without cores and energy."""
    code, begin = spikes_of(node.result), start(graph, node.result) or 0
    kind = {"Encode": "input", "First": "first spike"}.get(type(node.op).__name__, "integrate")
    bits, delays = weight_bits(graph, node), dict[str, int]()
    if isinstance(node.op, Population):
        delays = _delays(graph, layer_of(graph, node))
        kind = kind if bits is not None else "relay"
    return PopulationReport(
        node.result.name,
        kind,
        size(code),
        wiring.synapses_into(node.result.name),
        code.t_max,
        begin,
        begin + code.top,
        bits,
        node.origin,
        delays=delays,
    )


def _delays(graph: Graph, layer: Layer) -> dict[str, int]:
    found: dict[str, int] = {}
    for synapse in layer.synapses:
        name, delay = sender(graph, synapse.operands[0]).result.name, connection(synapse).delay
        if delay:
            found[name] = max(delay, found.get(name, 0))
    return found


def weight_bits(graph: Graph, node: Node) -> int | None:
    """See `PopulationReport`; None for inputs, gates and relays.

    Those of its weights, without those by which higher digits inhibit a digit of an output.
    """
    if not isinstance(node.op, Population):
        return None
    layer = layer_of(graph, node)
    if not node.origin and isinstance(connection(layer.synapses[0]), Relay):
        return None
    pieces = graph.known(_output_pieces)
    synapses = [s for s in layer.synapses if sender(graph, s.operands[0]).result.name not in pieces]
    factor = 1 if any(np.any(weight_of(s) & 1) for s in synapses) else 2
    outputs = layer.spikes.shape[0] if layer.spikes.shape else 1
    found = np.zeros(outputs)
    for synapse in synapses:
        rows = weight_of(synapse).reshape(len(weight_of(synapse)), -1)
        ends = rows.max(axis=1).astype(np.float64), -rows.min(axis=1).astype(np.float64)
        found = np.maximum(found, np.maximum(*ends))
    reach = np.median(found)
    return int(np.ceil(np.log2(reach / factor + 1))) + 1


def _output_pieces(graph: Graph) -> frozenset[str]:
    return frozenset(piece.result.name for _, found in split_outputs(graph) for piece in found)
