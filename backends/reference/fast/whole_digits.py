"""Digits of outputs: the host reads the whole in their place, which one population computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from qcompiler.backends.reference.kernels.families import sum_key
from qcompiler.ir import Graph, Node, Spikes, Value, drop_dead
from qcompiler.ir.snn import Decode, Population, Relay
from qcompiler.ir.spiking.coding import code_of_output
from qcompiler.ir.spiking.integer_network import Layer, layer_of, weight_of


def with_whole_digits(graph: Graph) -> Graph:
    """The graph with other operands of `Decode` where digits can be one population.

    With the sum V and the slope D of the lowest digit, the digit of place p is

        q = clip(floor((V - D sum(p' q')) / (p D)), 0, top)

    over all higher digits q' of places p'. If each lower digit has just the levels that the next
    place needs, then all add up to ``clip(floor(V / D), 0, T)``. The window of the whole is not
    the one that its levels need.
    """
    return drop_dead(replace(graph, nodes=tuple(_rewritten(graph))))


def _rewritten(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        whole = _whole_of(graph, node) if isinstance(node.op, Decode) else None
        if whole is not None:
            assert isinstance(node.op, Decode)
            yield whole
            rest = node.operands[len(node.op.places) :]
            node = replace(node, op=Decode(), operands=(whole.result, *rest))
        yield node


def _whole_of(graph: Graph, node: Node) -> Node | None:
    """The population that computes all levels of what is decoded; None if pieces are no digits."""
    assert isinstance(node.op, Decode)
    places = node.op.places
    if len(places) < 2 or set(places) == {1}:
        return None
    found = [graph.producer(operand) for operand in node.operands[: len(places)]]
    digits = [digit for digit in found if digit and isinstance(digit.op, Population)]
    if len(digits) < len(places):
        return None
    layers = [layer_of(graph, digit) for digit in digits]
    if not _are_digits(layers, places):
        return None
    code, lowest = code_of_output(node), layers[-1].node
    taken = {synapse.result.name for synapse in layers[-1].synapses[len(layers[0].synapses) :]}
    operands = tuple(operand for operand in lowest.operands if operand.name not in taken)
    levels = Spikes(code.shape, code.t_max, code.scale, code.zero)
    return replace(lowest, operands=operands, result=Value(f"{node.result.name}:whole", levels))


def _are_digits(layers: Sequence[Layer], places: Sequence[int]) -> bool:
    """Whether layers, the highest first, are digits of one sum: each reads those before it."""
    base, slope = sum_key(layers[0]), layers[-1].slope
    ladder = zip(pairwise(places), layers[1:], strict=True)
    if places[-1] != 1 or any(high != low * (x.spikes.top + 1) for (high, low), x in ladder):
        return False
    for at, (place, layer) in enumerate(zip(places, layers, strict=True)):
        others = layer.synapses[len(base) :]
        same = sum_key(layer)[: len(base)] == base and len(others) == at
        alike = np.array_equal(layer.bias, layers[0].bias)
        if not (same and alike and np.array_equal(layer.slope, place * slope)):
            return False
        for synapse, higher, by in zip(others, layers, places, strict=False):
            reads = synapse.operands[0].name == higher.node.result.name
            if not (reads and isinstance(synapse.op, Relay)):
                return False
            if not np.array_equal(-weight_of(synapse).astype(np.int64), by * slope):
                return False
    return True
