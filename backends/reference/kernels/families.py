"""Populations that have their synapses from the same sources, and can be computed together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.ir import Graph
from qcompiler.ir.snn import Connect
from qcompiler.ir.spiking.integer_network import Layer, connection, layers, weight_of

SumKey: TypeAlias = "tuple[Hashable, ...]"


class Rung(NamedTuple):
    """A population of a ladder, whose levels are ``clip(whole - below, 0, top)``."""

    name: str
    below: int
    top: int


@dataclass(frozen=True)
class Ladder:
    """Populations whose thresholds lie whole levels apart, as those of slices do.

    ``base`` is the lowest: with more levels, it does for all.
    """

    base: Layer
    rungs: tuple[Rung, ...]

    @property
    def top(self) -> int:
        """The highest level of the whole."""
        return max(rung.below + rung.top for rung in self.rungs)


def families(graph: Graph) -> dict[str, tuple[Layer, ...]]:
    """The populations of one family, in order, by the name of each."""
    found: dict[Hashable, list[Layer]] = defaultdict(list)
    for layer in layers(graph):
        found[_sources(layer)].append(layer)
    return {layer.node.result.name: tuple(one) for one in found.values() for layer in one}


def ladders(family: Sequence[Layer]) -> list[Ladder]:
    """A family as ladders, most of which have a single rung."""
    alike: dict[SumKey, list[Layer]] = defaultdict(list)
    for layer in family:
        alike[sum_key(layer)].append(layer)
    return [ladder for group in alike.values() for ladder in _ladders(group)]


def sum_key(layer: Layer) -> SumKey:
    """What the sum of a population depends on, apart from its bias."""
    return tuple(
        (replace(connection(synapse), delay=0), *(operand.name for operand in synapse.operands))
        for synapse in layer.synapses
    )


def is_stackable(layer: Layer) -> bool:
    """Whether channels of a population can lie behind those of another with the same sources."""
    ops = map(connection, layer.synapses)
    return all(isinstance(op, Connect) or getattr(op, "groups", 0) == 1 for op in ops)


def _sources(layer: Layer) -> Hashable:
    if not layer.synapses or not is_stackable(layer):
        return sum_key(layer) or layer.node.result.name
    return frozenset(
        (
            replace(connection(synapse), delay=0),
            synapse.operands[0].name,
            weight_of(synapse).shape[2:],
        )
        for synapse in layer.synapses
    )


def _ladders(layers: list[Layer]) -> list[Ladder]:
    found: list[Ladder] = []
    rest = sorted(layers, key=lambda layer: -float(layer.bias.sum()))
    while rest:
        base, rungs = rest[0], []
        for layer in rest:
            below = _below(base, layer)
            if below is not None:
                rungs.append(Rung(layer.node.result.name, below, layer.spikes.top))
        names = {rung.name for rung in rungs}
        found.append(Ladder(base, tuple(rungs)))
        rest = [layer for layer in rest if layer.node.result.name not in names]
    return found


def _below(base: Layer, layer: Layer) -> int | None:
    """By how many levels a population lies above another; None if that is no whole number."""
    if layer.slope.shape != base.slope.shape or (layer.slope != base.slope).any():
        return None
    steps = np.unique((base.bias - layer.bias) / base.slope)
    return int(steps[0]) if len(steps) == 1 and steps[0] >= 0 and steps[0] % 1 == 0 else None
