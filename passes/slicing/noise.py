"""How much noise rounding brings into a network, value by value.

Rounded to its levels, a value disturbs what the network makes of it. That is measured at two ends:

    in the sums of the layers that read it, over the variance of those sums: what counts if the
    layers behind are fitted to what they get, and mend some of it;
    in the outputs, everything behind being as it is: what counts if they mend nothing.

The truth lies between, nearer to the outputs: what ResNet-20 and SqueezeNet gain if some of their
values have many levels is best told by a mean of a value's shares at both ends, weighed 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qcompiler.ir import Graph, Node, Spikes, Value, drop_dead, substitute
from qcompiler.ir.ann import ArgMax, Clip, MaxPool, Softmax
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode, encode
from qcompiler.ir.view import Reshape, View
from qcompiler.passes.calibration.data import Images, Progress, run, sample
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.trace import Trace, size_of
from qcompiler.passes.folding.linear import weights_by_channel
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.integer_layer import code_of
from qcompiler.passes.quantization.logits import logits

_WORK = 1e11  # products of all runs from a rounded value to the outputs
_FEWEST = 4  # images for that
_WEIGHTS = (1.0, 3.0)  # of the noise in the sums, and at the outputs
_MOST_VALUES = 64  # of a network, for that: each is a run of all layers behind it


@dataclass
class Noise:
    """What a value does to its readers' sums, and (as shares of their power) to the outputs.

    ``histogram`` holds what readers see of the value; ``channels`` what each of its channels does
    to the sums, or NaN where a reader does not tell channels apart.
    """

    histogram: Histogram
    code: Spikes
    channels: Array
    disturbed: float = 0.0
    variance: float = 0.0
    outputs: float = 0.0

    @property
    def sums(self) -> float:
        """The noise in the sums, as a share of their variance."""
        return self.disturbed / self.variance if self.variance else 0.0


def noise_of(
    graph: Graph, data: Images, levels: Callable[[Value], int], progress: Progress = None
) -> dict[str, Noise]:
    """The noise of every value that a layer reads, given how many levels each has.

    ``data`` hold one batch an input, ``images x shape``. Of networks of more than 64 such values
    only the noise in the sums is measured. ``progress`` is told the share of the values that have
    been followed to an output. Raises DataError for a value that becomes NaN or infinite.
    """
    roots = {value.name: value for value in graph.inputs}
    found = _Walk(graph, Trace(graph, data), levels, roots).run()
    if len(found) > _MOST_VALUES:
        return found
    few = sample(data, int(max(_FEWEST, _WORK / size_of(graph)[0] / max(1, len(found)))))
    for output in dict.fromkeys(logits(graph, value, Reshape) for value in graph.outputs):
        cut = drop_dead(replace(graph, outputs=(output,), output_names=()))
        values = (*cut.inputs, *(node.result for node in cut.nodes))
        read = [value for value in values if value.name in found and value != output]
        for done, value in enumerate(read, 1):
            found[value.name].outputs += _at_output(cut, few, value, found[value.name].code)
            if progress:
                progress(done / len(read))
    return found


def shares(found: dict[str, Noise]) -> dict[str, float]:
    """Each value's share of all noise."""
    ends = np.array([(noise.sums, noise.outputs) for noise in found.values()]).reshape(-1, 2)
    totals = ends.sum(axis=0)
    weights = np.where(totals > 0, _WEIGHTS, 0)
    parts = ends @ (weights / np.where(totals > 0, totals, 1)) / (weights.sum() or 1.0)
    return dict(zip(found, parts.tolist(), strict=True))


def _at_output(graph: Graph, data: Images, value: Value, code: Spikes) -> float:
    exact, (rounded,) = outputs_if_rounded(graph, data, value, (code,))
    return float(np.mean(np.square(rounded - exact, dtype=np.float64)) / (_variance(exact) or 1.0))


def _variance(array: Array) -> float:
    return float(np.var(array, axis=0, dtype=np.float64).mean())


def outputs_if_rounded(
    graph: Graph, data: Images, value: Value, codes: Sequence[Spikes]
) -> tuple[Array, Iterator[Array]]:
    """The first output, and what it is with one value rounded by each code."""
    output = graph.outputs[0]
    given = Value(f"{value.name}:coded", value.type)
    rest = substitute(graph, {value.name: given})
    rest = drop_dead(replace(rest, inputs=(*graph.inputs, given)))
    parts = list(run(graph, data, list(dict.fromkeys((value.name, output.name)))))
    real = np.concatenate([part[value.name] for part in parts])
    exact = np.concatenate([part[output.name] for part in parts])

    def rounded() -> Iterator[Array]:
        for code in codes:
            batches = run(rest, (*data, decode(code, encode(code, real))), [rest.outputs[0].name])
            yield np.concatenate([found for part in batches for found in part.values()])

    return exact, rounded()


@dataclass
class _Walk:
    """The layers of a graph in order; ``roots`` are the values behind max pools and views.

    Behind views, channels are not those of the root: these are ``arranged``.
    """

    graph: Graph
    trace: Trace
    levels: Callable[[Value], int]
    roots: dict[str, Value]
    arranged: set[str] = field(default_factory=set)
    found: dict[str, Noise] = field(default_factory=dict)

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
        """Whether this is no node of the host's, nor behind one."""
        values = (operand for operand in node.operands if isinstance(operand, Value))
        known = all(value.name in self.roots for value in values)
        return known and not isinstance(node.op, Softmax | ArgMax)

    def follow(self, node: Node) -> None:
        """A node that no layer takes in."""
        root = self.roots.get(node.operands[0].name)
        passes_on = root is not None and isinstance(node.op, MaxPool | View)
        self.roots[node.result.name] = root if root is not None and passes_on else node.result
        if isinstance(node.op, View) or (passes_on and node.operands[0].name in self.arranged):
            self.arranged.add(node.result.name)
        self.trace.follow(node)

    def read(self, group: FusionGroup) -> None:
        """Disturb what a layer reads, one value after the other."""
        sums = self.trace.before_clip(group)
        variance = _power(sums - sums.mean(axis=(0, *range(2, sums.ndim)), keepdims=True))
        for root, names in self._sources(group):
            noise = self._noise(root, names[0])
            given = {name: self._rounded(noise.code, name) for name in names}
            noise.disturbed += _power(self.trace.before_clip(group, given) - sums)
            noise.variance += variance
            errors = {name: given[name] - self.trace.of(name) for name in names}
            told = self.arranged.isdisjoint(names)
            noise.channels += _by_channel(group, errors) / (variance or 1.0) if told else np.nan
        self.trace.add(group, sums)
        self.roots[group.result.name] = group.result

    def _sources(self, group: FusionGroup) -> Iterator[tuple[Value, list[str]]]:
        """The values that a layer reads, and what it reads of each."""
        names = dict.fromkeys(branch.source.name for branch in group.branches)
        roots = {self.roots[name].name: self.roots[name] for name in names}
        for root in roots.values():
            yield root, [name for name in names if self.roots[name] is root]

    def _noise(self, root: Value, name: str) -> Noise:
        if root.name not in self.found:
            producer = self.graph.producer(root)
            low = producer.op.low if producer and isinstance(producer.op, Clip) else None
            histogram, levels = Histogram(), self.levels(root)
            histogram.add(self.trace.of(name))
            code = code_of(root.type.shape, levels, histogram.least_squares(levels, low))
            self.found[root.name] = Noise(histogram, code, np.zeros(root.type.shape[:1]))
        return self.found[root.name]

    def _rounded(self, code: Spikes, name: str) -> Array:
        return decode(code, encode(code, self.trace.of(name)))


def _power(array: Array) -> float:
    """Mean over images and places, sum over channels."""
    return float(_powers(array).sum())


def _powers(array: Array) -> Array:
    """Mean over images and places, of each channel."""
    axes = (0, *range(2, array.ndim))
    powers: Array = np.square(array, dtype=np.float64).mean(axis=axes)
    return powers


def _by_channel(group: FusionGroup, errors: Mapping[str, Array]) -> Array | float:
    """What errors of some sources do to a group's sums, channel by channel."""
    total: Array | float = 0.0
    for branch in group.branches:
        if branch.source.name in errors:
            powers = _powers(errors[branch.source.name])
            total = total + (powers if branch.linear is None else powers * _gains(branch.linear))
    return total


def _gains(node: Node) -> Array | float:
    """Power of a layer's results by that of each channel it reads; NaN if it has no columns."""
    weight = weights_by_channel(node)
    if weight is None:
        return np.nan
    gains: Array = np.square(weight, dtype=np.float64).sum(axis=(0, *range(2, weight.ndim)))
    return gains
