"""How narrow a segment of a function may be, so that integer weights can hold it.

One level of a source moves the input of a clip by some amount. If that is more than the largest
weight times a level of the clip, the clip does not fit. A narrower segment is pointless, too: the
input jumps across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir import Graph, Node, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View
from qcompiler.passes.folding.linear import elements_summed
from qcompiler.passes.quantization.fusion_groups import (
    FusionGroup,
    fusion_groups,
    is_network_output,
)
from qcompiler.passes.quantization.levels import PRECISE, levels_of, times_of
from qcompiler.passes.quantization.slopes import ALIKE_PARTS

_FEW_SYNAPSES = 4
_FINE = 1.0  # times the slope at which the rounding of weights is that of levels
_LOST, _CANCELLED = 8.0, 1000.0  # times the largest weight, and levels: sums that cancel
_FITTED = 0.8  # share of the largest weight that weights may take before they are fitted to data


@dataclass(frozen=True)
class Resolution:
    """The levels of a graph's values, and ``limit``, the largest integer weight."""

    graph: Graph
    t_max: int
    output_t_max: int
    limit: int

    def narrowest(self, source: Value, result: Value) -> float:
        """The least width of the segments of ``result`` that read ``source`` as a population."""
        return self._spike(source, 1) * self._top_of_segments(result) / self.limit

    def narrowest_fused(self, group: FusionGroup, result: Value) -> Array:
        """The same for segments that are fused with the layers that compute their source.

        One width for each channel, or one for all.
        """
        return self._moved(group) * self._top_of_segments(result) / (self.limit * _FITTED)

    def fusable(self, source: Value) -> FusionGroup | None:
        """The layers that compute a value, if segments of one function alone read them."""
        group = self._groups.get(source.name)
        alone = self.graph.only_user(source) is not None
        return group if group and alone and not group.clip else None

    def carries(self, group: FusionGroup, reader: Node) -> bool:
        """Whether weights can hold a copy of a group in front of a clip, or what it scales or adds.

        A branch of several may use several synapses per weight.
        """
        moved, clip = self._moved(group), reader
        if isinstance(reader.op, Affine):
            moved = moved * _of_channels(reader)
        if isinstance(reader.op, Affine | Add):
            (clip,) = self.graph.users(reader.result)
        return bool(np.all(moved <= self._step(clip.result) * (self.limit + 0.5)))

    def holds(self, group: FusionGroup) -> bool:
        """Whether weights are fine enough for a group: their rounding is less than its own.

        The largest weight bounds the slope D. Each of n weights is off by up to 1/2, of D a level.
        Branches that sum few elements may use several synapses per weight.
        """
        fans = [elements_summed(branch.linear) if branch.linear else 1 for branch in group.branches]
        room, moved = max(*fans, _FEW_SYNAPSES), 0.0
        for branch, fan in zip(group.branches, fans, strict=True):
            weight = _largest(branch.linear) if branch.linear else 1.0
            parts = min(max(room // fan, 1), ALIKE_PARTS) if len(fans) > 1 else 1
            moved = max(moved, self._spike(branch.source, 1, parts) * weight)
        moved *= _largest(group.gain) if group.gain else 1.0
        slope = self.limit * self._step(group.result) / max(moved, 1e-30)
        return bool(slope >= max(1.0, _FINE * (self.t_max - 1) * (sum(fans) / 3) ** 0.5))

    def loses(self, value: Value) -> bool:
        """Whether a level of what a value is a sum of moves it much farther than weights hold."""
        group = self._groups.get(self._root(value).name)
        if group is None or group.clip:
            return False
        most = max(_LOST * self.limit, _CANCELLED) * self._step(value)
        return bool(self._moved(group).min() > most > 0)

    def held(self, group: FusionGroup) -> float:
        """The least width of a sum whose levels weights can hold."""
        return float(self._moved(group).max()) * self._top(group.result) / (self.limit * _FITTED)

    def is_finer(self, value: Value) -> bool:
        """Whether a value has more levels than others, as an output and its gates may have."""
        return self._top(value) >= self.t_max

    def levels_of_segments(self, result: Value) -> int | None:
        """Those of their sum; None if these are the network's.

        An output may have more, and what slices read. Beyond half of the largest weight there are
        no more: the slopes of narrow segments would exceed it.
        """
        own = result.type.t_max if isinstance(result.type, Tensor) else None
        no_window = is_network_output(self.graph, result) or self._is_sliced(result)
        most = max(PRECISE, (self.limit + 1) // 2)
        found = own and (min(own, self.t_max) if no_window else own)
        return most if (found or self.t_max) > most else found

    def _is_sliced(self, value: Value) -> bool:
        """Whether scaled clips are among what reads a value."""
        ends = (self.graph.only_user(reader.result) for reader in self.graph.users(value))
        return any(isinstance(end.op, Clip) for end in ends if end)

    @property
    def _groups(self) -> dict[str, FusionGroup]:
        return self.graph.known(_by_result)

    def _moved(self, group: FusionGroup) -> Array:
        """The largest change of a group's sum by one spike time of a source, of each channel."""
        branches, moved = len(group.branches), np.zeros(1)
        for branch in group.branches:
            weight = _of_channels(branch.linear) if branch.linear else np.ones(1)
            with np.errstate(over="ignore"):  # which no range can hold, either
                moved = np.maximum(moved, self._spike(branch.source, branches) * weight)
        return moved * _of_channels(group.gain) if group.gain else moved

    def _spike(self, source: Value, branches: int, parts: int = ALIKE_PARTS) -> float:
        """The change of a source by one spike time, as far as one synapse must hold it.

        Digits are branches, too, and where there are several each may use parallel synapses.
        """
        root = self._root(source)
        digits = root.type.digits if isinstance(root.type, Tensor) else 1
        base = float(times_of(self.graph, root, self.t_max, self.output_t_max))
        place: float = base ** (digits - 1)
        return (
            self._step(source)
            * place
            / (parts if branches * digits > 1 or parts < ALIKE_PARTS else 1)
        )

    def _step(self, value: Value) -> float:
        """One level of the population behind views and pools; 0 if it has no range."""
        for one in (self._root(value), value):
            if isinstance(one.type, Tensor) and one.type.range is not None:
                low, high = one.type.range
                return (high - low) / self._top(one)
        return 0.0

    def _top_of_segments(self, result: Value) -> int:
        return (self.levels_of_segments(result) or self.t_max) - 1

    def _top(self, value: Value) -> int:
        return levels_of(self.graph, value, self.t_max, self.output_t_max) - 1

    def _root(self, value: Value) -> Value:
        node = self.graph.producer(value)
        while node is not None and isinstance(node.op, View | MaxPool):
            (value, *_) = (o for o in node.operands if isinstance(o, Value))
            node = self.graph.producer(value)
        return value


def _largest(node: Node) -> float:
    """The largest magnitude of a layer's weights, or of a scale."""
    weighs = isinstance(node.op, Conv | Dense | Affine)
    return float(np.abs(node.arrays[0]).max(initial=0.0)) if weighs else 1.0


def _of_channels(node: Node) -> Array:
    """The largest magnitude of a layer's weights, or of a scale, for each channel or for all."""
    if not isinstance(node.op, Conv | Dense | Affine):
        return np.ones(1)
    weight = np.abs(node.arrays[0])
    if isinstance(node.op, Affine) and weight.ndim < len(node.result.type.shape):
        weight = weight.reshape(1, -1)
    found: Array = weight.reshape(len(weight), -1).max(axis=1, initial=0.0)
    return found


def _by_result(graph: Graph) -> dict[str, FusionGroup]:
    return {group.result.name: group for group in fusion_groups(graph)}
