"""The noise of each value in the sums of its readers, measured layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from qcompiler.ir import Graph, Node, Spikes, Value
from qcompiler.ir.ann import Clip, MaxPool, OnHost
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.moments import mean_squares, variances
from qcompiler.passes.calibration.rounded_values import rounded_to_levels
from qcompiler.passes.calibration.trace import Trace
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.level_codes import code_in

from .noise_power import power_by_channel, power_of_weights


@dataclass
class Noise:
    """The noise of one value in the sums of its readers and in the outputs, as a share of variance.

    ``histogram`` is the distribution that the readers see. ``channels`` holds the noise of each
    channel in the sums, or NaN if a reader mixes channels. ``weights`` is the power of the errors
    by rounding the readers' weights, for membranes of one unit; see `power_of_weights`.
    """

    histogram: Histogram
    code: Spikes
    channels: Array
    disturbed: float = 0.0
    variance: float = 0.0
    outputs: float = 0.0
    weights: float = 0.0

    @property
    def sums(self) -> float:
        """The noise in the sums, as a share of their variance."""
        return self.disturbed / self.variance if self.variance else 0.0


@dataclass
class NoiseWalk:
    """Visits the layers in order; ``roots`` maps each value to its source before pools and views.

    ``arranged`` names values behind views, whose channels are not those of their root.
    """

    graph: Graph
    trace: Trace
    levels: Callable[[Value], int]
    roots: dict[str, Value]
    arranged: set[str] = field(default_factory=set)
    found: dict[str, Noise] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, Noise]:
        """Go through all layers."""
        ends = {group.result.name: group for group in fusion_groups(self.graph)}
        inner = {node.result.name for group in ends.values() for node in group.nodes[:-1]}
        for node in self.graph.nodes:
            if group := ends.get(node.result.name):
                if all(branch.source.name in self.roots for branch in group.branches):
                    self.read(group)
            elif node.result.name not in inner and self.spikes(node):
                self.follow(node)
        return self.found

    def spikes(self, node: Node) -> bool:
        """Whether the node runs on spikes: not on the host, nor behind a host operation."""
        values = (operand for operand in node.operands if isinstance(operand, Value))
        known = all(value.name in self.roots for value in values)
        return known and not isinstance(node.op, OnHost)

    def follow(self, node: Node) -> None:
        """Visit a node outside all fusion groups."""
        root = self.roots.get(node.operands[0].name)
        passes_on = root is not None and isinstance(node.op, MaxPool | View)
        self.roots[node.result.name] = root if root is not None and passes_on else node.result
        if isinstance(node.op, View) or (passes_on and node.operands[0].name in self.arranged):
            self.arranged.add(node.result.name)
        self.trace.follow(node)

    def read(self, group: FusionGroup) -> None:
        """Round the sources of a layer one after the other and measure the change of its sums."""
        sums = self.trace.before_clip(group)
        variance = float(variances(sums).sum())
        reach = self._reach(group, sums)
        for root, names in self._sources(group):
            noise = self._noise(root, names[0])
            levels = {name: self._square(name) / noise.code.scale**2 for name in names}
            noise.weights += power_of_weights(group, reach, levels)
            rounded = {name: _Rounding(noise.code) for name in names}
            noise.disturbed += self._moved(group, sums, rounded)
            noise.variance += variance
            errors = {name: one.errors / len(sums) for name, one in rounded.items()}
            told = self.arranged.isdisjoint(names)
            noise.channels += (
                power_by_channel(group, errors) / (variance or 1.0) if told else np.nan
            )
        self.trace.add(group, sums)
        self.roots[group.result.name] = group.result

    def _moved(self, group: FusionGroup, sums: Array, rounded: Mapping[str, _Rounding]) -> float:
        """Mean square by which rounding some sources changes sums, added up over channels."""
        total = 0.0
        for images, changed in self.trace.changed_sums(group, rounded):
            total += float(mean_squares(changed, sums[images]).sum()) * len(changed)
        return total / len(sums)

    def _square(self, name: str) -> float:
        """Mean square of a value."""
        if name not in self.squares:
            self.squares[name] = float(mean_squares(self.trace.of(name)).mean())
        return self.squares[name]

    def _reach(self, group: FusionGroup, sums: Array) -> Array:
        """How far the sums of each channel lie from those of inputs that are all zero."""
        names = dict.fromkeys(branch.source.name for branch in group.branches)
        zeros = {name: 0 * self.trace.of(name)[:1] for name in names}
        (rest,) = self.trace.before_clip(group, zeros)
        moved = np.maximum(np.abs(sums.max(axis=0) - rest), np.abs(sums.min(axis=0) - rest))
        found: Array = moved.max(axis=tuple(range(1, moved.ndim)))
        return found

    def _sources(self, group: FusionGroup) -> Iterator[tuple[Value, list[str]]]:
        """The root values of a layer's sources, and the names under which it reads each."""
        names = dict.fromkeys(branch.source.name for branch in group.branches)
        roots = {self.roots[name].name: self.roots[name] for name in names}
        for root in roots.values():
            yield root, [name for name in names if self.roots[name] is root]

    def _noise(self, root: Value, name: str) -> Noise:
        if root.name not in self.found:
            producer = self.graph.producer(root)
            clip = producer.op if producer and isinstance(producer.op, Clip) else Clip()
            histogram, levels = Histogram(), self.levels(root)
            histogram.add_of(self.graph, name, self.trace.of(name))
            bounds = histogram.least_squares(levels, clip.low, clip.high)
            code = code_in(self.graph, root, levels, bounds)
            self.found[root.name] = Noise(histogram, code, np.zeros(root.type.shape[:1]))
        return self.found[root.name]


class _Rounding:
    """Rounds values to levels; ``errors`` adds up mean squares over positions, per channel."""

    def __init__(self, code: Spikes) -> None:
        self.code = code
        self.errors: Array = np.zeros(1)

    def __call__(self, x: Array) -> Array:
        found = rounded_to_levels(self.code, x)
        self.errors = self.errors + mean_squares(found, x) * len(x)
        return found
