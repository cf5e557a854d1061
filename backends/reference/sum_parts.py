"""The products of which the sums of populations are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay, Synapse
from qcompiler.ir.spiking.integer_network import Layer, connection, layers, weight_of

SumKey: TypeAlias = "tuple[Hashable, ...]"


@dataclass(frozen=True)
class SumPart:
    """A synapse, its weight, and the value that it multiplies."""

    op: Synapse
    weight: Array
    source: str


def parts_of(layer: Layer) -> list[SumPart]:
    """The parts of a sum, kernels first; those of one kind from one source are added up."""
    found: dict[Hashable, SumPart] = {}
    for synapse in layer.synapses:
        op, source = replace(connection(synapse), delay=0), synapse.operands[0].name
        weight = weight_of(synapse)
        if (op, source) in found:
            weight = found[op, source].weight.astype(np.int64) + weight
        found[op, source] = SumPart(op, weight, source)
    return sorted(found.values(), key=lambda part: isinstance(part.op, Relay))


class SharedSums:
    """Which populations sum up the same, apart from their bias, as slices of one value do."""

    def __init__(self, graph: Graph) -> None:
        self._populations = Counter(map(_key, layers(graph)))

    def of(self, layer: Layer) -> SumKey | None:
        """What the sum depends on, if other populations have the same."""
        key = _key(layer)
        return key if self._populations[key] > 1 else None


def _key(layer: Layer) -> SumKey:
    return tuple(
        (replace(connection(synapse), delay=0), *(operand.name for operand in synapse.operands))
        for synapse in layer.synapses
    )
