"""Shorten the windows of outputs: several populations with short windows in place of a long one.

Outputs have more levels than other layers, so that the largest stays distinguishable. Frames follow
each other at the pace of the longest window, and at every step every neuron costs energy. What is
decoded needs no single spike: the host adds up slices, or digits (`quantization.output_pieces`).
The levels stay the same, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant, Node, Value
from qcompiler.ir.snn import Decode, Encode, First, Neuron
from qcompiler.ir.spiking.integer_network import (
    Layer,
    fan_in,
    incoming,
    layer_of,
    neuron_count,
    spikes_of,
    spiking_nodes,
)
from qcompiler.ir.spiking.invariants import SPIKING
from qcompiler.ir.types import size
from qcompiler.ir.view import View
from qcompiler.passes.base import Pass, check_limits
from qcompiler.passes.quantization.membrane_limits import Limits, MembraneLoad
from qcompiler.passes.quantization.output_pieces import (
    Piece,
    digits,
    most_digits,
    slices,
    slices_suit,
)
from qcompiler.passes.quantization.short_pieces import SHORTEST
from qcompiler.passes.scheduling.frame_cost import UPDATE
from qcompiler.passes.slicing.piece_populations import with_pieces

_EXACT = (1 << 23) - 1
_HOW = ("auto", "slices", "digits")
_MORE = 1 + 1 / 256  # of the cost: so little may end a frame earlier


@dataclass(frozen=True)
class SplitWindows(Pass):
    """Split outputs whose windows are longer than all others.

    ``longest`` is the number of levels that a window may have; 0 takes that of the longest window
    among inputs, hidden populations and outputs that others read, too. ``how`` is ``slices``,
    ``digits``, or ``auto``: slices if they are few and end earlier, else digits, and none if the
    network would cost more. Of a network that has many more neurons than outputs, these become more
    digits, or slices, that are shorter. What does not fit the limits of the target becomes the
    other, or gets windows twice as long, and so on, or stays whole.

    Limits are those of `quantize`, ``potential`` and ``input``, of `assign-windows`, ``delay``, and
    of `fold-linear`, ``fan_in``.
    """

    name: ClassVar[str] = "split-windows"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING,)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING,)
    longest: int = 0
    how: str = "auto"
    potential: int = _EXACT
    input: int = _EXACT
    delay: int = -1
    fan_in: int = 0

    def __post_init__(self) -> None:
        check_limits(fan_in=self.fan_in, potential=self.potential, input=self.input)
        if self.longest and self.longest < 2:
            raise ValueError(f"longest must be 0, or at least 2 levels, not {self.longest}")
        if self.how not in _HOW:
            raise ValueError(f"how must be one of {', '.join(_HOW)}, not {self.how}")

    def __call__(self, graph: Graph) -> Graph:
        """Split every output that can be, or none if that costs more."""
        ends = {node.result.name: node for node in spiking_nodes(graph) if _ends(graph, node)}
        others = [n.result for n in spiking_nodes(graph) if n.result.name not in ends]
        longest = self.longest or max((spikes_of(value).t_max for value in others), default=0)
        wide = [
            node
            for node in ends.values()
            if isinstance(node.op, Neuron) and node.op.t_max > longest >= 2
        ]
        neurons = neuron_count(graph)
        found = {node.result.name: self._pieces(graph, node, longest, neurons) for node in wide}
        split = with_pieces(graph, found)
        if split is graph or self.how != "auto":
            return split
        if (cost := _cost(split)) >= _cost(graph):
            return graph
        return self._shorter(graph, wide, longest, split, cost * _MORE)

    def _shorter(
        self, graph: Graph, wide: list[Node], longest: int, split: Graph, most: float
    ) -> Graph:
        """With more slices, which end earlier, as long as the cost is ``most``; else ``split``."""
        while longest > SHORTEST:
            longest = (longest + 1) // 2
            found = {n.result.name: self._sliced(graph, n, longest) for n in wide}
            if not all(found.values()):
                return split
            tried = with_pieces(graph, found)
            if _cost(tried) > most:
                return split
            split = tried
        return split

    def _sliced(self, graph: Graph, node: Node, longest: int) -> list[Piece]:
        layer = layer_of(graph, node)
        pieces = slices(layer.bias, layer.slope, layer.spikes.t_max, longest)
        return pieces if self._fit(graph, layer, pieces) else []

    def _pieces(self, graph: Graph, node: Node, longest: int, neurons: int) -> list[Piece]:
        """The pieces of a population, as short as fit; none if neither slices nor digits do."""
        layer, most = layer_of(graph, node), most_digits(size(node.result.type), neurons)
        given = layer.bias, layer.slope, layer.spikes.t_max, longest
        ways = [slices(*given)]
        if not _behind_gate(graph, node.result):
            ways.append(digits(*given, most))
        if self.how == "digits" or (self.how == "auto" and not slices_suit(*given[2:], most)):
            ways.reverse()
        found = next((pieces for pieces in ways if self._fit(graph, layer, pieces)), [])
        longer = 2 * longest
        if found or self.longest or longer >= layer.spikes.t_max:
            return found
        return self._pieces(graph, node, longer, neurons)

    def _fit(self, graph: Graph, layer: Layer, pieces: Sequence[Piece]) -> bool:
        higher = pieces[-1].inhibitions
        reached = int(fan_in(graph, layer.node).max()) + 2 * len(higher)  # large weights take two
        waiting = sum(inhibition.top + 1 for inhibition in higher)
        if higher and (0 < self.fan_in < reached or 0 <= self.delay < waiting):
            return False
        limits = Limits(_EXACT, self.potential, self.input, _EXACT)
        top = max(incoming(synapse).top for synapse in layer.synapses)
        whole = layer.drive, top, layer.bias, layer.slope, layer.spikes.t_max
        load = MembraneLoad(*whole, limits)
        bounds = None if layer.bounds is None else layer.drive.bounds
        return all(np.all(load.piece_excess(piece, bounds) <= 1) for piece in pieces)


def _ends(graph: Graph, node: Node) -> bool:
    """Whether nothing but the host reads the spikes of a population or gate."""
    if isinstance(node.op, Encode):
        return False
    return not graph.is_output(node.result) and _only_decoded(graph, node.result)


def _only_decoded(graph: Graph, value: Value) -> bool:
    users = graph.users(value)
    return bool(users) and all(
        (isinstance(user.op, Decode) and not user.op.places)
        or (isinstance(user.op, View | First) and _only_decoded(graph, user.result))
        for user in users
    )


def _behind_gate(graph: Graph, value: Value) -> bool:
    """Whether a first-spike gate reads a value: of digits it would not pass the maximum."""
    return any(
        isinstance(user.op, First)
        or (isinstance(user.op, View) and _behind_gate(graph, user.result))
        for user in graph.users(value)
    )


def _cost(graph: Graph) -> float:
    """Neuron updates and events of a frame, in events, if no branch waits for another."""
    interval, events = 1, 0
    for node in spiking_nodes(graph):
        own, before = spikes_of(node.result).top, -1
        if isinstance(node.op, Neuron):
            layer = layer_of(graph, node)
            before = max(incoming(synapse).top for synapse in layer.synapses)
            events += int(fan_in(graph, node).sum())
        elif isinstance(node.op, First):
            before = 0
        interval = max(interval, before + own + 2)
    return UPDATE * neuron_count(graph) * interval + events
